#!/usr/bin/env python3
"""Gives a vault whose log has one entry the identifier of another, as its founder can: Python 3 with PyNaCl.

    relatch_refounder.py FOLDER IDENTITY IDENTIFIER
"""
import base64
import hashlib
import json
import os
import sqlite3
import sys

import nacl.bindings

sys.dont_write_bytecode = True
from relatch_intruder import hkdf, scalar


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def main():
    folder, identity, identifier = sys.argv[1:]
    public, secret = nacl.bindings.crypto_sign_seed_keypair(hkdf(scalar(identity), b"relatch/v1/signing-key", 32))
    database = sqlite3.connect(os.path.join(folder, "vault.db"))
    header = json.loads(database.execute("SELECT value FROM header").fetchone()[0])
    entries = database.execute("SELECT value FROM log").fetchall()
    assert len(entries) == 1
    entry = canonical({**json.loads(entries[0][0]), "vault": identifier})
    root = hashlib.sha256(b"\0" + entry).digest()
    origin = "relatch/" + identifier
    note = f"{origin}\n1\n{base64.b64encode(root).decode()}\n"
    key = hashlib.sha256(origin.encode() + b"\n\1" + public).digest()[:4]
    signature = nacl.bindings.crypto_sign(note.encode(), secret)[:64]
    note += f"\n\u2014 {origin} {base64.b64encode(key + signature).decode()}\n"
    with database:
        database.execute("UPDATE header SET value = ?", (canonical({**header, "id": identifier}),))
        database.execute("UPDATE log SET value = ?", (entry,))
        database.execute("UPDATE tree SET value = ?", (root,))
        database.execute("UPDATE checkpoints SET value = ?", (note.encode(),))


if __name__ == "__main__":
    main()
