#pragma once
#include <sqlite3.h>

/* Swift can call neither C variadics nor the cast behind SQLITE_TRANSIENT. */

/* Sets one of the SQLITE_DBCONFIG_ options that take an int and answer an int; `found` receives the answer. */
static inline int relatch_sqlite3_db_config(sqlite3 *db, int option, int value, int *found) {
  return sqlite3_db_config(db, option, value, found);
}

/* Leaves out the counts of all memory that SQLite has, which every allocation would take a lock for. Only before its first use. */
static inline int relatch_sqlite3_leave_out_memory_counts(void) { return sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

/* Binds `count` bytes as a BLOB, where they lie: they must stay there until the statement is reset, or others are bound. No bytes
   are an empty BLOB, not NULL. */
static inline int relatch_sqlite3_bind_lent(
    sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 count) {
  return sqlite3_bind_blob64(statement, index, bytes ? bytes : "", count, SQLITE_STATIC);
}

/* The same with a copy of them. */
static inline int relatch_sqlite3_bind_copy(
    sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 count) {
  return sqlite3_bind_blob64(statement, index, bytes ? bytes : "", count, SQLITE_TRANSIENT);
}
