#pragma once

// libcurl, loaded on demand: it brings 30 libraries and takes 4 ms, which commands that stay off the network must not
// pay. Nothing links it. `<curl/curl.h>` is included for its types and constants; every call goes through the table
// that `ccurl_load` fills. Variadic functions have one wrapper per argument type, because Swift cannot call `...`.
#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <stdbool.h>

enum {
  CCURL_READY = 0,
  CCURL_LIBRARY_MISSING = 1,
  CCURL_SYMBOL_MISSING = 2,
  CCURL_TOO_OLD = 3,
  CCURL_NOT_STARTED = 4,
};

/// Loads and starts libcurl, once per process; later calls return the first result. Safe to call from any thread.
int ccurl_load(void);
/// Whether this process has mapped libcurl through `ccurl_load`.
bool ccurl_is_loaded(void);

/// What memory is wiped: bits of `ccurl_protections`, for tests and diagnostics.
enum {
  CCURL_WIPES_CURL = 1,
  CCURL_WIPES_TLS = 2,
  CCURL_CLEANSES_TLS_RECORDS = 4,
};
int ccurl_protections(void);

// None of these may be called before `ccurl_load` has returned `CCURL_READY`.

CURL *ccurl_easy_init(void);
void ccurl_easy_cleanup(CURL *easy);
CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value);
CURLcode ccurl_set_offset(CURL *easy, CURLoption option, curl_off_t value);
/// libcurl copies the string.
CURLcode ccurl_set_string(CURL *easy, CURLoption option, const char *value);
/// libcurl keeps the pointer.
CURLcode ccurl_set_pointer(CURL *easy, CURLoption option, const void *value);
CURLcode ccurl_set_headers(CURL *easy, struct curl_slist *list);
/// Makes OpenSSL wipe its record buffers as they are read; does nothing if the TLS library is not OpenSSL.
CURLcode ccurl_cleanse_tls_records(CURL *easy);

typedef size_t (*ccurl_receive)(char *bytes, size_t size, size_t count, void *context);
typedef int (*ccurl_before_request)(
  void *context, char *remote_address, char *local_address, int remote_port, int local_port);
CURLcode ccurl_on_body(CURL *easy, ccurl_receive receive, void *context);
CURLcode ccurl_on_header(CURL *easy, ccurl_receive receive, void *context);
CURLcode ccurl_on_request(CURL *easy, ccurl_before_request before, void *context);

CURLcode ccurl_get_long(CURL *easy, CURLINFO info, long *value);
/// The certificate verifier's fixed text for a result, or null if there is none.
const char *ccurl_verify_text(long result);

struct curl_slist *ccurl_slist_append(struct curl_slist *list, const char *line);
void ccurl_slist_free(struct curl_slist *list);

/// A pool of connections, separate from the multi handle's, for the handles of one thread that are given it
/// (`CURLOPT_SHARE`). Null if there is no memory for it.
CURLSH *ccurl_share_connections(void);
/// Closes the connections in the pool. No handle may use it any more.
void ccurl_share_cleanup(CURLSH *share);

CURLM *ccurl_multi_init(void);
CURLMcode ccurl_multi_cleanup(CURLM *multi);
CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value);
CURLMcode ccurl_multi_add(CURLM *multi, CURL *easy);
CURLMcode ccurl_multi_remove(CURLM *multi, CURL *easy);

/// The sockets and the time that a multi handle waits for. With it, the cost of a turn grows with the transfers that
/// are ready, not with all that are under way: `curl_multi_perform` asks the kernel about every transfer each time. It
/// belongs to the multi handle's thread.
typedef struct ccurl_poller ccurl_poller;
/// Null if there are no descriptors left. The multi handle uses the poller until the multi handle is cleaned up.
ccurl_poller *ccurl_poller_create(CURLM *multi);
void ccurl_poller_destroy(ccurl_poller *poller);
/// Waits at most a minute for something to do, and does it.
CURLMcode ccurl_poller_turn(ccurl_poller *poller, bool is_idle);
/// Ends the wait of the current turn, or of the next one. Other threads may make only this call.
void ccurl_poller_wake(ccurl_poller *poller);

/// The next finished transfer; false if there is none. Here because `CURLMsg` holds a union, which Swift reads badly.
bool ccurl_multi_next_done(CURLM *multi, CURL **easy, CURLcode *result);

/// Wipes the dead part of the calling thread's stack, where libcurl and OpenSSL leave copies of what they sent.
void ccurl_wipe_stack(void);
void ccurl_name_thread(const char *name);
/// Whether the calling thread has called `ccurl_name_thread`.
bool ccurl_is_named_thread(void);
