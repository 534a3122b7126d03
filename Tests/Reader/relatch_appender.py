#!/usr/bin/env python3
"""Appends an entry to the log of a vault, as a member's own program that checks nothing can: Python 3 with PyNaCl.

The entry is given without `member`; `time` and `v` may be given. A `vault.restored` also gets its row in the journal.

    relatch_appender.py FOLDER IDENTITY MEMBER ENTRY
"""
import base64
import hashlib
import json
import os
import sqlite3
import struct
import sys

import nacl.bindings

sys.dont_write_bytecode = True
from relatch_intruder import hkdf, scalar
from relatch_refounder import canonical


def sha256(data):
    return hashlib.sha256(data).digest()


def main():
    folder, identity, member, text = sys.argv[1:]
    public, secret = nacl.bindings.crypto_sign_seed_keypair(hkdf(scalar(identity), b"relatch/v1/signing-key", 32))
    database = sqlite3.connect(os.path.join(folder, "vault.db"))
    entries = [entry for entry, in database.execute("SELECT value FROM log ORDER BY key")]
    index, last = len(entries), json.loads(entries[-1])
    vault = json.loads(entries[0])["vault"]
    entry = {"time": last["time"], "v": 1, **json.loads(text), "member": member}
    entries.append(canonical(entry))
    rows, level = [sha256(b"\0" + entry) for entry in entries], 0
    tree = {}
    while rows:
        tree.update((bytes([level]) + struct.pack(">Q", place), row) for place, row in enumerate(rows))
        rows, level = [sha256(b"\1" + left + right) for left, right in zip(rows[::2], rows[1::2])], level + 1
    size, root = len(entries), None
    # The smallest complete subtree is on the right.
    for level in (level for level in range(64) if size >> level & 1):
        row = tree[bytes([level]) + struct.pack(">Q", (size >> level) - 1)]
        root = row if root is None else sha256(b"\1" + row + root)
    origin = "relatch/" + vault
    note = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    key = sha256(origin.encode() + b"\n\1" + public)[:4]
    signature = nacl.bindings.crypto_sign(note.encode(), secret)[:64]
    note += f"\n\u2014 {origin} {base64.b64encode(key + signature).decode()}\n"
    with database:
        database.execute("INSERT INTO log VALUES (?, ?)", (struct.pack(">Q", index), entries[-1]))
        database.executemany("INSERT OR IGNORE INTO tree VALUES (?, ?)", tree.items())
        if last["member"] == member:
            database.execute("DELETE FROM checkpoints WHERE key = ?", (struct.pack(">Q", index),))
        database.execute("INSERT INTO checkpoints VALUES (?, ?)", (struct.pack(">Q", size), note.encode()))
        if entry["event"] == "vault.restored":
            row = bytes.fromhex(vault) + struct.pack(">QI", entry["restore"], 0)
            database.execute("INSERT INTO journal VALUES (?, ?)", (row, struct.pack(">Q", index)))


if __name__ == "__main__":
    main()
