#define _GNU_SOURCE
#include "org.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEY_LENGTH = 85, SECRET_LENGTH = 64, TOKEN_LENGTH = 100 };

enum slot_state { SLOT_EMPTY, SLOT_ACTIVE, SLOT_ROTATED };

struct app {
  uint32_t primary;  // generation of the primary pair
  uint32_t newest;  // generation of the newest pair ever staged
  enum slot_state state;
  uint32_t slot;  // generation of the pair in the slot
  uint32_t slot_serial;  // a set has another identifier after it was rotated
  uint32_t serial;
  bool proved;
  uint32_t answered;  // depth of the deepest answer sent
};

static struct app apps[ORG_MAX_APPS + 1];
static int app_count;
static uint32_t admin_tokens;
org_counters counters;

// MARK: - Identifiers, pairs and tokens: all computed, none stored

static uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

static void fill(char *out, size_t count, uint64_t seed, const char *alphabet, unsigned letters) {
  uint64_t word = 0;
  for (size_t i = 0; i < count; i++) {
    if (i % 8 == 0) word = seed = mix(seed);
    out[i] = alphabet[(word & 0xFF) % letters];
    word >>= 8;
  }
}

static const char base62[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

static void digits(char *out, int count, uint32_t value) {
  for (int i = count - 1; i >= 0; i--, value /= 10) out[i] = (char)('0' + value % 10);
}

// The app's number and the pair's generation stand in the key, so that it is looked up without a table.
static void make_key(int app, uint32_t generation, char out[96]) {
  memcpy(out, "3MVG9", 5);
  digits(out + 5, 6, (uint32_t)app);
  out[11] = '.';
  digits(out + 12, 4, generation);
  out[16] = '_';
  fill(out + 17, KEY_LENGTH - 17, ((uint64_t)app << 32 | generation) ^ 0x6B6579, base62, 62);
  out[KEY_LENGTH] = 0;
}

static void make_secret(int app, uint32_t generation, char out[72]) {
  fill(out, SECRET_LENGTH, ((uint64_t)app << 32 | generation) ^ 0x736563726574, "0123456789ABCDEF", 16);
  out[SECRET_LENGTH] = 0;
}

static void make_token(int app, uint32_t number, char out[112]) {
  memcpy(out, "00D5i0000000001!", 16);
  digits(out + 16, 6, (uint32_t)app);
  out[22] = '.';
  digits(out + 23, 8, number);
  out[31] = '_';
  fill(out + 32, TOKEN_LENGTH - 32, ((uint64_t)app << 32 | number) ^ 0x746F6B656E, base62, 62);
  out[TOKEN_LENGTH] = 0;
}

static bool read_digits(const char *bytes, int count, uint32_t *value) {
  *value = 0;
  for (int i = 0; i < count; i++) {
    if (bytes[i] < '0' || bytes[i] > '9') return false;
    *value = *value * 10 + (uint32_t)(bytes[i] - '0');
  }
  return true;
}

static void make_id(const char prefix[3], uint32_t high, uint32_t low, char out[32]) {
  memcpy(out, prefix, 3);
  digits(out + 3, 6, high);
  digits(out + 9, 6, low);
  out[15] = 0;
}

static bool read_id(text id, const char prefix[3], uint32_t *high, uint32_t *low) {
  return id.count == 15 && memcmp(id.bytes, prefix, 3) == 0 && read_digits(id.bytes + 3, 6, high) &&
         read_digits(id.bytes + 9, 6, low);
}

void org_app_id(int app, char out[32]) { make_id("0xI", 0, (uint32_t)app, out); }
void org_consumer_id(int app, char out[32]) { make_id("888", 0, (uint32_t)app, out); }

void org_primary_pair(int app, char key[96], char secret[72]) {
  make_key(app, apps[app].primary, key);
  make_secret(app, apps[app].primary, secret);
}

void org_reset(int count) {
  memset(apps, 0, sizeof apps);
  memset(&counters, 0, sizeof counters);
  app_count = count;
}

int org_app_count(void) { return app_count; }

// MARK: - Answers

static void answer_with(org_answer *answer, int status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int count = vsnprintf(answer->body, sizeof answer->body, format, arguments);
  va_end(arguments);
  if (count < 0 || (size_t)count >= sizeof answer->body) abort();
  answer->status = status;
  answer->count = (size_t)count;
}

static void fail(org_answer *answer, int status, const char *code) {
  counters.errors++;
  answer_with(answer, status, "[{\"message\":\"%s\",\"errorCode\":\"%s\"}]", code, code);
}

static void oauth_fail(org_answer *answer, const char *error, bool is_expected) {
  if (is_expected) counters.refused++; else counters.errors++;
  answer_with(answer, 400, "{\"error\":\"%s\",\"error_description\":\"client identifier invalid\"}", error);
}

static void about(org_answer *answer, int app) {
  answer->app = app;
  answer->depth = apps[app].answered + 1;
}

void org_sent(const org_answer *answer) {
  if (answer->app < 1 || answer->app > app_count) return;
  struct app *app = &apps[answer->app];
  if (answer->depth > app->answered) app->answered = answer->depth;
  if (answer->depth > counters.path) counters.path = answer->depth;
}

static bool is_text(text t, const char *literal) {
  return t.count == strlen(literal) && memcmp(t.bytes, literal, t.count) == 0;
}

// MARK: - POST /services/oauth2/token

// The field `name` of a form, decoded.
static bool form_field(text form, const char *name, char *out, size_t capacity) {
  size_t length = strlen(name);
  for (size_t start = 0; start < form.count;) {
    const char *field = form.bytes + start;
    const char *end = memchr(field, '&', form.count - start);
    size_t count = end ? (size_t)(end - field) : form.count - start;
    start += count + 1;
    if (count <= length || memcmp(field, name, length) != 0 || field[length] != '=') continue;
    size_t written = 0;
    for (size_t i = length + 1; i < count; i++) {
      if (written + 1 >= capacity) return false;
      char byte = field[i];
      if (byte == '+') byte = ' ';
      if (byte == '%' && i + 2 < count) {
        char hex[3] = {field[i + 1], field[i + 2], 0};
        byte = (char)strtol(hex, NULL, 16);
        i += 2;
      }
      out[written++] = byte;
    }
    out[written] = 0;
    return true;
  }
  return false;
}

static void grant(const org_request *request, org_answer *answer) {
  char type[32], key[96], secret[80], expected[96];
  uint32_t app_number, generation;
  if (!form_field(request->body, "grant_type", type, sizeof type) || strcmp(type, "client_credentials") != 0)
    return oauth_fail(answer, "unsupported_grant_type", false);
  if (!form_field(request->body, "client_id", key, sizeof key) || strlen(key) != KEY_LENGTH ||
      !form_field(request->body, "client_secret", secret, sizeof secret) || !read_digits(key + 5, 6, &app_number) ||
      !read_digits(key + 12, 4, &generation) || app_number > (uint32_t)app_count)
    return oauth_fail(answer, "invalid_client_id", false);
  int number = (int)app_number;
  struct app *app = &apps[number];
  about(answer, number);
  make_key(number, generation, expected);
  if (strcmp(key, expected) != 0 || generation > app->newest) return oauth_fail(answer, "invalid_client_id", false);
  bool is_staged = app->state != SLOT_EMPTY && generation == app->slot;
  if (generation != app->primary && !is_staged) return oauth_fail(answer, "invalid_client_id", true);
  make_secret(number, generation, expected);
  if (strcmp(secret, expected) != 0) return oauth_fail(answer, "invalid_client", false);

  if (is_staged && app->state == SLOT_ACTIVE) app->proved = true;
  if (number == 0) counters.admin_grants++;
  char token[112];
  make_token(number, number == 0 ? ++admin_tokens : 0, token);

  char identity[80], issued_at[24], signature[48];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(
    issued_at, sizeof issued_at, "%lld", (long long)now.tv_sec * 1000 + (long long)(now.tv_nsec / 1000000));
  snprintf(
    identity, sizeof identity, "https://login.salesforce.com/id/00D5i0000000001AAA/0055i%010d", number);
  crypto_auth_hmacsha256_state state;
  unsigned char code[crypto_auth_hmacsha256_BYTES];
  crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, SECRET_LENGTH);
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)identity, strlen(identity));
  crypto_auth_hmacsha256_update(&state, (const unsigned char *)issued_at, strlen(issued_at));
  crypto_auth_hmacsha256_final(&state, code);
  sodium_bin2base64(signature, sizeof signature, code, sizeof code, sodium_base64_VARIANT_ORIGINAL);
  answer_with(
    answer, 200,
    "{\"access_token\":\"%s\",\"signature\":\"%s\",\"scope\":\"api\",\"instance_url\":\"http://127.0.0.1\","
    "\"id\":\"%s\",\"token_type\":\"Bearer\",\"issued_at\":\"%s\",\"token_format\":\"opaque\"}",
    token, signature, identity, issued_at);
}

// MARK: - /services/data/vNN.0/apps/oauth/credentials/…

static int describe(int number, uint32_t generation, uint32_t serial, const char *state, char *out, size_t capacity) {
  char app[32], consumer[32], id[32], key[96], secret[72];
  org_app_id(number, app);
  org_consumer_id(number, consumer);
  make_id("0yS", (uint32_t)number, serial, id);
  make_key(number, generation, key);
  make_secret(number, generation, secret);
  const char *root = "/services/data/v65.0/apps/oauth/credentials";
  return snprintf(
    out, capacity,
    "{\"createdBy\":\"admin@example.com\",\"createdDate\":\"2026-01-01T00:00:00.000Z\","
    "\"expirationDate\":\"2099-01-01T00:00:00.000Z\",\"id\":\"%s\",\"key\":\"%s\",\"secret\":\"%s\","
    "\"stagedCredentialsUrl\":\"%s/%s/%s/staged\",\"state\":\"%s\",\"url\":\"%s/%s/%s/staged/%s\"}",
    id, key, secret, root, app, consumer, state, root, app, consumer, id);
}

static int describe_slot(int number, char *out, size_t capacity) {
  const struct app *app = &apps[number];
  if (app->state == SLOT_EMPTY) {
    out[0] = 0;
    return 0;
  }
  return describe(
    number, app->slot, app->slot_serial, app->state == SLOT_ACTIVE ? "Active" : "Rotated", out, capacity);
}

static void answer_slot(org_answer *answer, int number, bool is_list) {
  char set[1024], app[32], consumer[32];
  describe_slot(number, set, sizeof set);
  if (!is_list) return answer_with(answer, 200, "%s", set);
  org_app_id(number, app);
  org_consumer_id(number, consumer);
  answer_with(
    answer, 200,
    "{\"stagedCredentials\":[%s],\"url\":\"/services/data/v65.0/apps/oauth/credentials/%s/%s/staged\"}", set, app,
    consumer);
}

static void list_consumers(org_answer *answer, int number) {
  char app[32], consumer[32], key[96];
  org_app_id(number, app);
  org_consumer_id(number, consumer);
  make_key(number, apps[number].primary, key);
  const char *root = "/services/data/v65.0/apps/oauth/credentials";
  answer_with(
    answer, 200,
    "{\"consumers\":[{\"id\":\"%s\",\"key\":\"%s\",\"name\":\"Consumer %d\","
    "\"stagedCredentialsUrl\":\"%s/%s/%s/staged\",\"url\":\"%s/%s/%s\"}],\"currentPageUrl\":\"%s/%s\","
    "\"nextPageUrl\":null}",
    consumer, key, number, root, app, consumer, root, app, consumer, root, app);
}

static void describe_consumer(org_answer *answer, int number, text query) {
  char consumer[32], key[96], secret[72];
  org_consumer_id(number, consumer);
  org_primary_pair(number, key, secret);
  if (is_text(query, "part=keyandsecret"))
    answer_with(answer, 200, "{\"id\":\"%s\",\"key\":\"%s\",\"secret\":\"%s\"}", consumer, key, secret);
  else if (is_text(query, "part=secret"))
    answer_with(answer, 200, "{\"id\":\"%s\",\"secret\":\"%s\"}", consumer, secret);
  else
    answer_with(answer, 200, "{\"id\":\"%s\",\"key\":\"%s\"}", consumer, key);
}

static void stage(org_answer *answer, int number) {
  struct app *app = &apps[number];
  if (app->state != SLOT_EMPTY) return fail(answer, 400, "INVALID_OPERATION");
  app->state = SLOT_ACTIVE;
  app->slot = ++app->newest;
  app->slot_serial = ++app->serial;
  app->proved = false;
  counters.staged++;
  answer_slot(answer, number, true);
  answer->status = 201;
}

// Answers with the replaced set: it is the one in the slot from now on.
static void promote(org_answer *answer, int number, text body) {
  struct app *app = &apps[number];
  if (!memmem(body.bytes, body.count, "\"rotate\"", 8)) return fail(answer, 400, "INVALID_PARAMETER");
  if (app->state != SLOT_ACTIVE) return fail(answer, 400, "INVALID_OPERATION");
  if (app->proved) counters.completed++; else counters.unproved++;
  uint32_t replaced = app->primary;
  app->primary = app->slot;
  app->slot = replaced;
  app->slot_serial = ++app->serial;
  app->state = SLOT_ROTATED;
  answer_slot(answer, number, false);
}

static void answer_staged(const org_request *request, org_answer *answer, int number, text id) {
  struct app *app = &apps[number];
  uint32_t owner, serial;
  if (!read_id(id, "0yS", &owner, &serial) || (int)owner != number || app->state == SLOT_EMPTY ||
      serial != app->slot_serial)
    return fail(answer, 404, "NOT_FOUND");
  if (is_text(request->method, "GET")) return answer_slot(answer, number, false);
  if (is_text(request->method, "PATCH")) return promote(answer, number, request->body);
  if (!is_text(request->method, "DELETE")) return fail(answer, 405, "METHOD_NOT_ALLOWED");
  if (app->state == SLOT_ROTATED) counters.retired++;
  app->state = SLOT_EMPTY;
  answer_with(answer, 204, "");
}

static bool is_admin(text bearer) {
  uint32_t app, number;
  char expected[112];
  if (bearer.count != TOKEN_LENGTH || !read_digits(bearer.bytes + 16, 6, &app) || app != 0 ||
      !read_digits(bearer.bytes + 23, 8, &number) || number == 0 || number > admin_tokens)
    return false;
  make_token(0, number, expected);
  return memcmp(bearer.bytes, expected, TOKEN_LENGTH) == 0;
}

// The next part of a path, which it is moved past.
static text next_part(text *path) {
  const char *slash = memchr(path->bytes, '/', path->count);
  text part = {path->bytes, slash ? (size_t)(slash - path->bytes) : path->count};
  size_t used = part.count + (slash ? 1 : 0);
  path->bytes += used;
  path->count -= used;
  return part;
}

static void answer_data(const org_request *request, org_answer *answer, text path) {
  text query = {"", 0};
  const char *mark = memchr(path.bytes, '?', path.count);
  if (mark) {
    query = (text){mark + 1, path.count - (size_t)(mark - path.bytes) - 1};
    path.count = (size_t)(mark - path.bytes);
  }
  if (!is_admin(request->bearer)) return fail(answer, 401, "INVALID_SESSION_ID");
  uint32_t high, low;
  if (!read_id(next_part(&path), "0xI", &high, &low) || low < 1 || low > (uint32_t)app_count)
    return fail(answer, 404, "NOT_FOUND");
  int number = (int)low;
  about(answer, number);
  bool is_get = is_text(request->method, "GET");
  if (path.count == 0) {
    if (is_get) list_consumers(answer, number); else fail(answer, 405, "METHOD_NOT_ALLOWED");
    return;
  }
  if (!read_id(next_part(&path), "888", &high, &low) || (int)low != number) return fail(answer, 404, "NOT_FOUND");
  if (path.count == 0) {
    if (is_get) describe_consumer(answer, number, query); else fail(answer, 405, "METHOD_NOT_ALLOWED");
    return;
  }
  if (!is_text(next_part(&path), "staged")) return fail(answer, 404, "NOT_FOUND");
  if (path.count > 0) return answer_staged(request, answer, number, next_part(&path));
  if (is_get) return answer_slot(answer, number, true);
  if (is_text(request->method, "POST")) return stage(answer, number);
  fail(answer, 405, "METHOD_NOT_ALLOWED");
}

void org_answer_request(const org_request *request, org_answer *answer) {
  static const char token[] = "/services/oauth2/token";
  static const char root[] = "/services/data/v65.0/apps/oauth/credentials/";
  counters.calls++;
  answer->app = -1;
  answer->depth = 0;
  text path = request->path;
  if (is_text(path, token) && is_text(request->method, "POST")) return grant(request, answer);
  size_t length = sizeof root - 1;
  if (path.count > length && memcmp(path.bytes, root, length) == 0)
    return answer_data(request, answer, (text){path.bytes + length, path.count - length});
  fail(answer, 404, "NOT_FOUND");
}
