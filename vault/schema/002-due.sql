-- What format 2 has beyond format 1: two indexes of the credentials' records. A database of format 1 becomes one of format 2 by
-- running this in a transaction; the tables may stay empty until a record is next written. vault/storage.md says what they hold.
PRAGMA user_version = 2;
CREATE TABLE due (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE apart (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
