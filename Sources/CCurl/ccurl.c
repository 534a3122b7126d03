#define _GNU_SOURCE
#include "ccurl.h"

#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EACH_FUNCTION(X)                                                                                               \
  X(curl_global_init_mem)                                                                                              \
  X(curl_version_info)                                                                                                 \
  X(curl_easy_init)                                                                                                    \
  X(curl_easy_cleanup)                                                                                                 \
  X(curl_easy_setopt)                                                                                                  \
  X(curl_easy_getinfo)                                                                                                 \
  X(curl_slist_append)                                                                                                 \
  X(curl_slist_free_all)                                                                                               \
  X(curl_share_init)                                                                                                   \
  X(curl_share_setopt)                                                                                                 \
  X(curl_share_cleanup)                                                                                                \
  X(curl_multi_init)                                                                                                   \
  X(curl_multi_cleanup)                                                                                                \
  X(curl_multi_setopt)                                                                                                 \
  X(curl_multi_add_handle)                                                                                             \
  X(curl_multi_remove_handle)                                                                                          \
  X(curl_multi_timeout)                                                                                                \
  X(curl_multi_socket_action)                                                                                          \
  X(curl_multi_info_read)

// `__typeof__` takes each type from curl.h, so that a wrong signature cannot compile.
static struct {
#define DECLARE(name) __typeof__(&name) name;
  EACH_FUNCTION(DECLARE)
#undef DECLARE
} table;

static const char *(*verify_text)(long);
static uint64_t (*set_tls_options)(void *, uint64_t);
static int protections;
static int load_result;
static atomic_bool loaded;
static pthread_once_t load_once = PTHREAD_ONCE_INIT;

// libcurl and OpenSSL copy headers, bodies and records on the heap: everything they free is wiped first. `realloc` may
// leave the old block behind, so it is written as allocate, copy, wipe.

static void wiping_free(void *block) {
  if (!block) return;
  explicit_bzero(block, malloc_usable_size(block));
  free(block);
}

static void *wiping_realloc(void *block, size_t size) {
  if (!block) return malloc(size);
  size_t old = malloc_usable_size(block);
  // Growing inside the block moves nothing.
  if (size != 0 && size <= old && size >= old / 2) return block;
  void *fresh = malloc(size ? size : 1);
  if (!fresh) return NULL;
  memcpy(fresh, block, old < size ? old : size);
  wiping_free(block);
  return fresh;
}

static char *plain_strdup(const char *text) { return strdup(text); }

static void *tls_malloc(size_t size, const char *file, int line) { return malloc(size); }

static void *tls_realloc(void *block, size_t size, const char *file, int line) {
  // OpenSSL's own contract: a size of 0 frees and returns null.
  if (block && size == 0) {
    wiping_free(block);
    return NULL;
  }
  return wiping_realloc(block, size);
}

static void tls_free(void *block, const char *file, int line) { wiping_free(block); }

/// Finds OpenSSL 3 among what libcurl brought, never loading it ourselves. Other TLS libraries are left as they are.
static void prepare_tls(const char *version) {
  if (!version || strncmp(version, "OpenSSL/3", 9) != 0) return;
  void *crypto = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_NOLOAD);
  void *tls = dlopen("libssl.so.3", RTLD_NOW | RTLD_NOLOAD);
  if (crypto) {
    int (*set_memory)(
      void *(*)(size_t, const char *, int), void *(*)(void *, size_t, const char *, int),
      void (*)(void *, const char *, int)) = dlsym(crypto, "CRYPTO_set_mem_functions");
    // Refused once OpenSSL has allocated anything; then its memory is not wiped, and `ccurl_protections` says so.
    if (set_memory && set_memory(tls_malloc, tls_realloc, tls_free)) protections |= CCURL_WIPES_TLS;
    verify_text = dlsym(crypto, "X509_verify_cert_error_string");
  }
  if (tls) {
    set_tls_options = dlsym(tls, "SSL_CTX_set_options");
    if (set_tls_options) protections |= CCURL_CLEANSES_TLS_RECORDS;
  }
}

static int load(void) {
  // Whatever it names would get the keys of every connection, in clear, from libcurl or the TLS library below it.
  unsetenv("SSLKEYLOGFILE");
  void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!library) return CCURL_LIBRARY_MISSING;
  atomic_store(&loaded, true);
#define RESOLVE(name)                                                                                                  \
  table.name = dlsym(library, #name);                                                                                  \
  if (!table.name) return CCURL_SYMBOL_MISSING;
  EACH_FUNCTION(RESOLVE)
#undef RESOLVE
  const curl_version_info_data *version = table.curl_version_info(CURLVERSION_NOW);
  // 7.85 is the first with CURLOPT_PROTOCOLS_STR; CURLOPT_PREREQFUNCTION, which counts sends, came with 7.80.
  if (!version || version->version_num < 0x075500) return CCURL_TOO_OLD;
  prepare_tls(version->ssl_version);
  if (table.curl_global_init_mem(
        CURL_GLOBAL_DEFAULT, malloc, wiping_free, wiping_realloc, plain_strdup, calloc) != CURLE_OK)
    return CCURL_NOT_STARTED;
  protections |= CCURL_WIPES_CURL;
  return CCURL_READY;
}

static void load_first(void) { load_result = load(); }

int ccurl_load(void) {
  pthread_once(&load_once, load_first);
  return load_result;
}

bool ccurl_is_loaded(void) { return atomic_load(&loaded); }

int ccurl_protections(void) { return protections; }

CURL *ccurl_easy_init(void) { return table.curl_easy_init(); }

void ccurl_easy_cleanup(CURL *easy) { table.curl_easy_cleanup(easy); }

CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value) {
  return table.curl_easy_setopt(easy, option, value);
}

CURLcode ccurl_set_offset(CURL *easy, CURLoption option, curl_off_t value) {
  return table.curl_easy_setopt(easy, option, value);
}

CURLcode ccurl_set_string(CURL *easy, CURLoption option, const char *value) {
  return table.curl_easy_setopt(easy, option, value);
}

CURLcode ccurl_set_pointer(CURL *easy, CURLoption option, const void *value) {
  return table.curl_easy_setopt(easy, option, value);
}

CURLcode ccurl_set_headers(CURL *easy, struct curl_slist *list) {
  return table.curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list);
}

static CURLcode prepare_tls_context(CURL *easy, void *context, void *unused) {
  // SSL_OP_CLEANSE_PLAINTEXT, whose header would tie the build to OpenSSL's.
  set_tls_options(context, UINT64_C(1) << 1);
  return CURLE_OK;
}

CURLcode ccurl_cleanse_tls_records(CURL *easy) {
  if (!set_tls_options) return CURLE_OK;
  return table.curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, prepare_tls_context);
}

CURLcode ccurl_on_body(CURL *easy, ccurl_receive receive, void *context) {
  CURLcode result = table.curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
  return result ? result : table.curl_easy_setopt(easy, CURLOPT_WRITEDATA, context);
}

CURLcode ccurl_on_header(CURL *easy, ccurl_receive receive, void *context) {
  CURLcode result = table.curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, receive);
  return result ? result : table.curl_easy_setopt(easy, CURLOPT_HEADERDATA, context);
}

CURLcode ccurl_on_request(CURL *easy, ccurl_before_request before, void *context) {
  CURLcode result = table.curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, before);
  return result ? result : table.curl_easy_setopt(easy, CURLOPT_PREREQDATA, context);
}

CURLcode ccurl_get_long(CURL *easy, CURLINFO info, long *value) { return table.curl_easy_getinfo(easy, info, value); }

const char *ccurl_verify_text(long result) { return verify_text && result != 0 ? verify_text(result) : NULL; }

struct curl_slist *ccurl_slist_append(struct curl_slist *list, const char *line) {
  return table.curl_slist_append(list, line);
}

void ccurl_slist_free(struct curl_slist *list) { table.curl_slist_free_all(list); }

CURLSH *ccurl_share_connections(void) {
  CURLSH *share = table.curl_share_init();
  if (!share || table.curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) == CURLSHE_OK) return share;
  table.curl_share_cleanup(share);
  return NULL;
}

void ccurl_share_cleanup(CURLSH *share) { table.curl_share_cleanup(share); }

CURLM *ccurl_multi_init(void) { return table.curl_multi_init(); }

CURLMcode ccurl_multi_cleanup(CURLM *multi) { return table.curl_multi_cleanup(multi); }

CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return table.curl_multi_setopt(multi, option, value);
}

CURLMcode ccurl_multi_add(CURLM *multi, CURL *easy) { return table.curl_multi_add_handle(multi, easy); }

CURLMcode ccurl_multi_remove(CURLM *multi, CURL *easy) { return table.curl_multi_remove_handle(multi, easy); }

// MARK: - Poller

struct ccurl_poller {
  CURLM *multi;
  int epoll;
  int wake;
};

static int watch_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *unused) {
  ccurl_poller *poller = context;
  if (what == CURL_POLL_REMOVE) {
    // Fails if libcurl has closed it already, and then it is gone from the set.
    epoll_ctl(poller->epoll, EPOLL_CTL_DEL, socket, NULL);
    return 0;
  }
  struct epoll_event event = {.data.fd = socket};
  if (what & CURL_POLL_IN) event.events |= EPOLLIN;
  if (what & CURL_POLL_OUT) event.events |= EPOLLOUT;
  if (epoll_ctl(poller->epoll, EPOLL_CTL_MOD, socket, &event) == 0) return 0;
  if (errno == ENOENT && epoll_ctl(poller->epoll, EPOLL_CTL_ADD, socket, &event) == 0) return 0;
  return -1;
}

ccurl_poller *ccurl_poller_create(CURLM *multi) {
  ccurl_poller *poller = calloc(1, sizeof *poller);
  if (!poller) return NULL;
  *poller = (ccurl_poller){.multi = multi};
  poller->epoll = epoll_create1(EPOLL_CLOEXEC);
  poller->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = poller->wake};
  bool is_whole = poller->epoll >= 0 && poller->wake >= 0 &&
                  epoll_ctl(poller->epoll, EPOLL_CTL_ADD, poller->wake, &event) == 0 &&
                  table.curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, watch_socket) == CURLM_OK &&
                  table.curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, poller) == CURLM_OK;
  if (is_whole) return poller;
  table.curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, NULL);
  ccurl_poller_destroy(poller);
  return NULL;
}

void ccurl_poller_destroy(ccurl_poller *poller) {
  if (poller->epoll >= 0) close(poller->epoll);
  if (poller->wake >= 0) close(poller->wake);
  free(poller);
}

void ccurl_poller_wake(ccurl_poller *poller) {
  // Fails only where so many have come that one is certainly there.
  eventfd_write(poller->wake, 1);
}

CURLMcode ccurl_poller_turn(ccurl_poller *poller, bool is_idle) {
  enum { LONGEST_MS = 60000 };
  struct epoll_event events[64];
  long wait_ms = -1;
  CURLMcode timing = table.curl_multi_timeout(poller->multi, &wait_ms);
  if (timing != CURLM_OK) return timing;
  // A handle that has failed asks to be called at once, for ever.
  if (is_idle || wait_ms < 0 || wait_ms > LONGEST_MS) wait_ms = LONGEST_MS;
  int count = epoll_wait(poller->epoll, events, sizeof events / sizeof *events, (int)wait_ms);
  int running;
  for (int i = 0; i < count; i++) {
    if (events[i].data.fd == poller->wake) {
      eventfd_t wakes;
      eventfd_read(poller->wake, &wakes);
      continue;
    }
    // A socket in error is read, which tells libcurl what is wrong with it.
    int ready = 0;
    if (events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) ready |= CURL_CSELECT_IN;
    if (events[i].events & EPOLLOUT) ready |= CURL_CSELECT_OUT;
    CURLMcode status = table.curl_multi_socket_action(poller->multi, events[i].data.fd, ready, &running);
    if (status != CURLM_OK) return status;
  }
  // What is due while sockets are busy is done with them.
  if (count > 0 && wait_ms > 0) return CURLM_OK;
  return table.curl_multi_socket_action(poller->multi, CURL_SOCKET_TIMEOUT, 0, &running);
}

bool ccurl_multi_next_done(CURLM *multi, CURL **easy, CURLcode *result) {
  int left;
  CURLMsg *message;
  while ((message = table.curl_multi_info_read(multi, &left))) {
    if (message->msg != CURLMSG_DONE) continue;
    *easy = message->easy_handle;
    *result = message->data.result;
    return true;
  }
  return false;
}

__attribute__((noinline)) void ccurl_wipe_stack(void) {
  // More than libcurl's deepest calls were seen to use; who starts the thread gives it a stack of five times that.
  unsigned char dead[192 * 1024];
  explicit_bzero(dead, sizeof dead);
}

static _Thread_local bool is_named;

void ccurl_name_thread(const char *name) {
  is_named = true;
  pthread_setname_np(pthread_self(), name);
}

bool ccurl_is_named_thread(void) { return is_named; }
