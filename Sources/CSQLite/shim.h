#pragma once
#include <sqlite3.h>

/* Swift can neither call C variadics nor write the cast behind SQLITE_TRANSIENT. */

/* Sets one of the SQLITE_DBCONFIG_ options that take an int and return an int, which `found` receives. */
static inline int relatch_sqlite3_db_config(sqlite3 *db, int option, int value, int *found) {
  return sqlite3_db_config(db, option, value, found);
}

/* Turns off SQLite's statistics of its memory, for which every allocation would take a lock. Call only before the first
   use of SQLite. */
static inline int relatch_sqlite3_leave_out_memory_counts(void) { return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

/* Binds `count` bytes as a BLOB without copying them: they must stay in place until the statement is reset or
   others are bound. No bytes are an empty BLOB, not NULL. */
static inline int relatch_sqlite3_bind_lent(
    sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 count) {
  return sqlite3_bind_blob64(statement, index, bytes ? bytes : "", count, SQLITE_STATIC);
}

/* Does the same with a copy of the bytes. */
static inline int relatch_sqlite3_bind_copy(
    sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 count) {
  return sqlite3_bind_blob64(statement, index, bytes ? bytes : "", count, SQLITE_TRANSIENT);
}
