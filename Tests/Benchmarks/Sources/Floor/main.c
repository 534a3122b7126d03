// The calls of a rotation by libcurl's multi interface, storing nothing: what any client of libcurl needs at least.
//
//   Floor URL PAIRS JOBS STEPS
//
// PAIRS has a line `app consumer client_id client_secret` for each app, the administrator first. STEPS are the calls of
// one rotation in order: c consumers, l list of staged sets, s stage, g grant with the new pair, p promote, d delete.
#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
  char app[32], consumer[32], key[128], secret[128];
};

struct job {
  CURL *easy;
  struct line *line;
  const char *step;
  char id[32], key[128], secret[128];
  char url[512], body[512];
  size_t count;
  char answer[8192];
};

static const char *base;
static struct curl_slist *json_headers, *form_headers;
static char token[512];

static void fail(const char *what) {
  fprintf(stderr, "floor: %s\n", what);
  exit(1);
}

static size_t keep(char *bytes, size_t size, size_t count, void *context) {
  struct job *job = context;
  if (job->count + size * count >= sizeof job->answer) return 0;
  memcpy(job->answer + job->count, bytes, size * count);
  job->count += size * count;
  job->answer[job->count] = 0;
  return size * count;
}

// The first member of that name in the answer.
static void member(struct job *job, const char *name, char *out, size_t capacity) {
  char opening[64];
  snprintf(opening, sizeof opening, "\"%s\":\"", name);
  char *start = strstr(job->answer, opening);
  char *end = start ? strchr(start += strlen(opening), '"') : NULL;
  if (!end || (size_t)(end - start) >= capacity) fail("an answer lacks a member");
  memcpy(out, start, (size_t)(end - start));
  out[end - start] = 0;
}

static void prepare(struct job *job, const char *method, const char *key, const char *secret) {
  CURL *easy = job->easy;
  job->count = 0;
  if (key) {
    snprintf(job->url, sizeof job->url, "%s/services/oauth2/token", base);
    snprintf(job->body, sizeof job->body, "grant_type=client_credentials&client_id=%s&client_secret=%s", key, secret);
  }
  curl_easy_setopt(easy, CURLOPT_URL, job->url);
  curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  if (job->body[0]) {
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)strlen(job->body));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, job->body);
  }
  curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, key ? form_headers : json_headers);
}

static void ask(struct job *job) {
  char consumers[256];
  snprintf(consumers, sizeof consumers, "%s/services/data/v65.0/apps/oauth/credentials/%s", base, job->line->app);
  job->body[0] = 0;
  const char *consumer = job->line->consumer;
  switch (*job->step) {
  case 'c':
    snprintf(job->url, sizeof job->url, "%s", consumers);
    return prepare(job, "GET", NULL, NULL);
  case 'l':
    snprintf(job->url, sizeof job->url, "%s/%s/staged", consumers, consumer);
    return prepare(job, "GET", NULL, NULL);
  case 's':
    snprintf(job->url, sizeof job->url, "%s/%s/staged", consumers, consumer);
    strcpy(job->body, "{}");
    return prepare(job, "POST", NULL, NULL);
  case 'p':
    snprintf(job->url, sizeof job->url, "%s/%s/staged/%s", consumers, consumer, job->id);
    strcpy(job->body, "{\"command\":\"rotate\"}");
    return prepare(job, "PATCH", NULL, NULL);
  case 'd':
    snprintf(job->url, sizeof job->url, "%s/%s/staged/%s", consumers, consumer, job->id);
    return prepare(job, "DELETE", NULL, NULL);
  case 'g': return prepare(job, "POST", job->key, job->secret);
  default: fail("STEPS are of c l s g p d");
  }
}

static void take_answer(struct job *job) {
  long status = 0;
  curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);
  if (status < 200 || status >= 300) fail("an answer outside the 200s");
  char granted[512];
  switch (*job->step) {
  case 's':
    member(job, "key", job->key, sizeof job->key);
    member(job, "secret", job->secret, sizeof job->secret);
    member(job, "id", job->id, sizeof job->id);
    break;
  case 'p': member(job, "id", job->id, sizeof job->id); break;
  case 'g': member(job, "access_token", granted, sizeof granted); break;
  }
}

static CURL *make_handle(struct job *job) {
  CURL *easy = curl_easy_init();
  if (!easy) fail("no handle");
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, keep);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, job);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, job);
  curl_easy_setopt(easy, CURLOPT_PROXY, "");
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  return easy;
}

static void log_in(struct line *admin) {
  static struct job job;
  job.easy = make_handle(&job);
  prepare(&job, "POST", admin->key, admin->secret);
  if (curl_easy_perform(job.easy) != CURLE_OK) fail("the administrator's grant failed");
  member(&job, "access_token", token, sizeof token);
  curl_easy_cleanup(job.easy);
}

int main(int count, char **arguments) {
  if (count != 5) fail("usage: Floor URL PAIRS JOBS STEPS");
  base = arguments[1];
  FILE *file = fopen(arguments[2], "r");
  if (!file) fail("PAIRS cannot be read");
  struct line *lines = NULL;
  size_t line_count = 0;
  struct line line;
  while (fscanf(file, "%31s %31s %127s %127s", line.app, line.consumer, line.key, line.secret) == 4) {
    if (line_count % 1024 == 0 && !(lines = realloc(lines, (line_count + 1024) * sizeof line))) fail("no memory");
    lines[line_count++] = line;
  }
  fclose(file);
  size_t job_count = strtoul(arguments[3], NULL, 10);
  if (line_count < 2 || job_count == 0) fail("no apps, or no jobs");
  if (job_count > line_count - 1) job_count = line_count - 1;

  curl_global_init(CURL_GLOBAL_DEFAULT);
  form_headers = curl_slist_append(NULL, "Content-Type: application/x-www-form-urlencoded");
  log_in(&lines[0]);
  char header[600];
  snprintf(header, sizeof header, "Authorization: Bearer %s", token);
  json_headers = curl_slist_append(curl_slist_append(NULL, header), "Content-Type: application/json");

  CURLM *multi = curl_multi_init();
  curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)job_count + 8);
  struct job *jobs = calloc(job_count, sizeof *jobs);
  size_t next = 1, left = line_count - 1;
  for (size_t i = 0; i < job_count; i++) {
    jobs[i].easy = make_handle(&jobs[i]);
    jobs[i].line = &lines[next++];
    jobs[i].step = arguments[4];
    ask(&jobs[i]);
    curl_multi_add_handle(multi, jobs[i].easy);
  }
  while (left > 0) {
    int running, queued;
    if (curl_multi_perform(multi, &running) != CURLM_OK) fail("curl_multi_perform");
    CURLMsg *message;
    bool did_any = false;
    while ((message = curl_multi_info_read(multi, &queued))) {
      if (message->msg != CURLMSG_DONE) continue;
      if (message->data.result != CURLE_OK) fail(curl_easy_strerror(message->data.result));
      struct job *job;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&job);
      curl_multi_remove_handle(multi, job->easy);
      take_answer(job);
      if (!*++job->step) {
        left--;
        if (next == line_count) continue;
        job->line = &lines[next++];
        job->step = arguments[4];
      }
      ask(job);
      curl_multi_add_handle(multi, job->easy);
      did_any = true;
    }
    if (!did_any && left > 0) curl_multi_poll(multi, NULL, 0, 1000, NULL);
  }
  return 0;
}
