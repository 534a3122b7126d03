// What the org is and answers. No input or output here: a request comes parsed, an answer goes into a buffer.
#ifndef FAST_ORG_ORG_H
#define FAST_ORG_ORG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ORG_MAX_APPS = 100000, ORG_ANSWER_SIZE = 4096 };

typedef struct {
  const char *bytes;
  size_t count;
} text;

typedef struct {
  text method;
  text path;  // with its query
  text bearer;  // the token after "Bearer ", or empty
  text body;
} org_request;

typedef struct {
  int status;
  size_t count;
  char body[ORG_ANSWER_SIZE];
  // The app that the request was about, or -1; and how many answers about it had to be there before it was asked.
  int app;
  uint32_t depth;
} org_answer;

// What was seen since the last `org_reset`.
typedef struct {
  uint64_t calls;
  uint64_t admin_grants;
  uint64_t staged;
  uint64_t completed;  // pairs staged, then granted a token, then promoted: in this order
  uint64_t unproved;  // promotions of a pair that was not granted a token
  uint64_t retired;  // replaced pairs deleted
  uint64_t refused;  // grants refused to pairs that were deleted: what a client that tries old pairs expects
  uint64_t errors;  // every other answer from 400
  uint64_t path;  // the longest chain of calls about one app, each made after an answer to the one before
} org_counters;

extern org_counters counters;

// Apps are numbered from 1; 0 is the administrator's. The pairs they begin with are always the same.
void org_reset(int apps);
int org_app_count(void);
void org_answer_request(const org_request *request, org_answer *answer);
// To be told when an answer is sent: what is asked after it depends on it.
void org_sent(const org_answer *answer);

// The identifiers and the primary pair of an app, for whoever sets a vault up. Each is written with its final zero.
void org_app_id(int app, char out[32]);
void org_consumer_id(int app, char out[32]);
void org_primary_pair(int app, char key[96], char secret[72]);

#endif
