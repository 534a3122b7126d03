#define _GNU_SOURCE
#include "cexpat.h"

#include <dlfcn.h>
#include <expat.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EACH_FUNCTION(X)                                                                                               \
  X(XML_ParserCreate_MM)                                                                                               \
  X(XML_ParserFree)                                                                                                    \
  X(XML_SetUserData)                                                                                                   \
  X(XML_SetElementHandler)                                                                                             \
  X(XML_SetCharacterDataHandler)                                                                                       \
  X(XML_SetXmlDeclHandler)                                                                                             \
  X(XML_SetStartDoctypeDeclHandler)                                                                                    \
  X(XML_StopParser)                                                                                                    \
  X(XML_Parse)                                                                                                         \
  X(XML_GetErrorCode)                                                                                                  \
  X(XML_ErrorString)                                                                                                   \
  X(XML_GetCurrentLineNumber)

// `__typeof__` takes each type from expat.h, so that a wrong signature cannot compile.
static struct {
#define DECLARE(name) __typeof__(&name) name;
  EACH_FUNCTION(DECLARE)
#undef DECLARE
} table;

static int load_result;
static atomic_bool loaded;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

static int load(void) {
  void *library = dlopen("libexpat.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return CEXPAT_LIBRARY_MISSING;
  atomic_store(&loaded, true);
#define RESOLVE(name)                                                                                                  \
  table.name = dlsym(library, #name);                                                                                  \
  if (!table.name) return CEXPAT_SYMBOL_MISSING;
  EACH_FUNCTION(RESOLVE)
#undef RESOLVE
  return CEXPAT_WHOLE;
}

static void load_first(void) { load_result = load(); }

bool cexpat_is_loaded(void) { return atomic_load(&loaded); }

// libexpat copies what it is given, and a secret may stand in it.

static void wiping_free(void *block) {
  if (!block) return;
  explicit_bzero(block, malloc_usable_size(block));
  free(block);
}

static void *wiping_realloc(void *block, size_t size) {
  if (!block) return malloc(size);
  size_t old = malloc_usable_size(block);
  void *fresh = malloc(size ? size : 1);
  if (!fresh) return NULL;
  memcpy(fresh, block, old < size ? old : size);
  wiping_free(block);
  return fresh;
}

static const XML_Memory_Handling_Suite wiping = {malloc, wiping_realloc, wiping_free};

struct reading {
  XML_Parser parser;
  const struct cexpat_handlers *handlers;
  void *context;
  int stopped;
};

static void stop(struct reading *reading, int reason) {
  if (reading->stopped != CEXPAT_WHOLE) return;
  reading->stopped = reason;
  table.XML_StopParser(reading->parser, XML_FALSE);
}

// libexpat may call once more after it was stopped.

static void XMLCALL start(void *data, const XML_Char *name, const XML_Char **attributes) {
  struct reading *reading = data;
  if (reading->stopped) return;
  unsigned long line = table.XML_GetCurrentLineNumber(reading->parser);
  if (!reading->handlers->start(reading->context, name, line)) stop(reading, CEXPAT_STOPPED);
}

static void XMLCALL end(void *data, const XML_Char *name) {
  struct reading *reading = data;
  if (!reading->stopped && !reading->handlers->end(reading->context)) stop(reading, CEXPAT_STOPPED);
}

static void XMLCALL text(void *data, const XML_Char *bytes, int count) {
  struct reading *reading = data;
  if (!reading->stopped && !reading->handlers->text(reading->context, bytes, (size_t)count))
    stop(reading, CEXPAT_STOPPED);
}

static void XMLCALL declaration(void *data, const XML_Char *version, const XML_Char *encoding, int standalone) {
  if (encoding && strcasecmp(encoding, "UTF-8") != 0) stop(data, CEXPAT_ENCODING);
}

static void XMLCALL doctype(
  void *data, const XML_Char *name, const XML_Char *system, const XML_Char *public, int has_internal_subset) {
  stop(data, CEXPAT_DOCTYPE);
}

struct cexpat_result cexpat_read(
  const char *bytes, size_t count, const struct cexpat_handlers *handlers, void *context) {
  pthread_once(&load_once, load_first);
  struct cexpat_result result = {.status = load_result};
  if (load_result != CEXPAT_WHOLE) return result;
  struct reading reading = {.handlers = handlers, .context = context};
  // Said from outside, the encoding is no longer for the document to choose: bytes that are not UTF-8 are an error.
  reading.parser = count <= INT_MAX ? table.XML_ParserCreate_MM("UTF-8", &wiping, " ") : NULL;
  if (!reading.parser) {
    result.status = CEXPAT_NO_MEMORY;
    return result;
  }
  table.XML_SetUserData(reading.parser, &reading);
  table.XML_SetElementHandler(reading.parser, start, end);
  table.XML_SetCharacterDataHandler(reading.parser, text);
  table.XML_SetXmlDeclHandler(reading.parser, declaration);
  table.XML_SetStartDoctypeDeclHandler(reading.parser, doctype);
  if (table.XML_Parse(reading.parser, bytes, (int)count, XML_TRUE) != XML_STATUS_OK) {
    result.status = reading.stopped ? reading.stopped : CEXPAT_MALFORMED;
    result.line = table.XML_GetCurrentLineNumber(reading.parser);
    if (!reading.stopped) result.message = table.XML_ErrorString(table.XML_GetErrorCode(reading.parser));
  }
  table.XML_ParserFree(reading.parser);
  return result;
}
