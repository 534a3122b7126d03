#pragma once

#include <stdbool.h>
#include <stddef.h>

// libexpat, loaded when the first document is read: commands that read no XML must not pay for it. Nothing links it.

enum {
  CEXPAT_WHOLE = 0,
  /// Not well-formed; the message says how.
  CEXPAT_MALFORMED = 1,
  /// It has a document type declaration, which could declare entities: refused before any is read.
  CEXPAT_DOCTYPE = 2,
  /// It declares an encoding other than UTF-8.
  CEXPAT_ENCODING = 3,
  /// A handler returned false.
  CEXPAT_STOPPED = 4,
  CEXPAT_NO_MEMORY = 5,
  CEXPAT_LIBRARY_MISSING = 6,
  CEXPAT_SYMBOL_MISSING = 7,
};

/// The functions called while a document is read. Lines count from 1. Once one returns false, none is called again.
struct cexpat_handlers {
  /// An element begins. Its name is `namespace name`, or just the name if it is in no namespace.
  bool (*start)(void *context, const char *name, unsigned long line);
  bool (*end)(void *context);
  /// A piece of the innermost element's text, in UTF-8 without a terminating zero.
  bool (*text)(void *context, const char *bytes, size_t count);
};

struct cexpat_result {
  int status;
  /// The line where it was refused.
  unsigned long line;
  /// libexpat's fixed text, or null.
  const char *message;
};

/// Reads a whole document, always as UTF-8. Opens no file, and resolves no entity except XML's own five.
struct cexpat_result cexpat_read(
  const char *bytes, size_t count, const struct cexpat_handlers *handlers, void *context);

/// Whether this process has mapped libexpat through `cexpat_read`.
bool cexpat_is_loaded(void);
