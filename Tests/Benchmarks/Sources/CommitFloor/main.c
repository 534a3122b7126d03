// Commits one row of 300 bytes after another, each durable, as the vault's store does, and nothing else:
// CommitFloor DATABASE COUNT TIME. Wall and processor time in nanoseconds go to TIME; making the database is left out.
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long long now(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int count, char **arguments) {
  sqlite3 *database;
  sqlite3_stmt *insert;
  if (count != 4 || sqlite3_open(arguments[1], &database) != SQLITE_OK) return 64;
  const char *begin =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
    "CREATE TABLE log (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;";
  if (sqlite3_exec(database, begin, 0, 0, 0) != SQLITE_OK) return 73;
  if (sqlite3_prepare_v2(database, "INSERT INTO log VALUES (?, ?)", -1, &insert, 0) != SQLITE_OK) return 73;
  char value[300];
  memset(value, 'x', sizeof value);
  long long start = now(CLOCK_MONOTONIC), started = now(CLOCK_PROCESS_CPUTIME_ID);
  for (long row = 0, rows = atol(arguments[2]); row < rows; row++) {
    unsigned char key[8];
    for (int place = 0; place < 8; place++) key[place] = (unsigned char)((unsigned long)row >> (56 - 8 * place));
    sqlite3_bind_blob(insert, 1, key, sizeof key, SQLITE_STATIC);
    sqlite3_bind_blob(insert, 2, value, sizeof value, SQLITE_STATIC);
    if (sqlite3_step(insert) != SQLITE_DONE || sqlite3_reset(insert) != SQLITE_OK) return 74;
  }
  long long end = now(CLOCK_MONOTONIC), ended = now(CLOCK_PROCESS_CPUTIME_ID);
  FILE *file = fopen(arguments[3], "w");
  if (!file) return 73;
  fprintf(file, "%lld %lld\n", end - start, ended - started);
  return fclose(file) == 0 ? 0 : 74;
}
