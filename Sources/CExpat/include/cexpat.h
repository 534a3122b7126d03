#pragma once

#include <stdbool.h>
#include <stddef.h>

// libexpat, loaded when a document is first read: commands that read no XML must not pay for it. Nothing links it.

enum {
  CEXPAT_WHOLE = 0,
  /// Not well-formed; the message says how.
  CEXPAT_MALFORMED = 1,
  /// It has a document type declaration, and so could declare entities: refused before any is read.
  CEXPAT_DOCTYPE = 2,
  /// It says that it is in another encoding than UTF-8.
  CEXPAT_ENCODING = 3,
  /// A handler had enough.
  CEXPAT_STOPPED = 4,
  CEXPAT_NO_MEMORY = 5,
  CEXPAT_LIBRARY_MISSING = 6,
  CEXPAT_SYMBOL_MISSING = 7,
};

/// What is told while a document is read. Lines count from 1. Whoever returns false is told nothing more.
struct cexpat_handlers {
  /// An element begins; its name as `namespace name`, or the name alone if it is in no namespace.
  bool (*start)(void *context, const char *name, unsigned long line);
  bool (*end)(void *context);
  /// A piece of text of the innermost element, in UTF-8 and not ended by a zero.
  bool (*text)(void *context, const char *bytes, size_t count);
};

struct cexpat_result {
  int status;
  /// Where it was refused.
  unsigned long line;
  /// libexpat's fixed text, or null.
  const char *message;
};

/// Reads a whole document, in UTF-8 whatever it says of itself. Opens no file and resolves no entity but XML's own five.
struct cexpat_result cexpat_read(
  const char *bytes, size_t count, const struct cexpat_handlers *handlers, void *context);

/// Whether this process has mapped libexpat through `cexpat_read`.
bool cexpat_is_loaded(void);
