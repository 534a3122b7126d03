#!/usr/bin/env python3
"""Tries to open all that it can reach of Relatch vaults, with nothing of Relatch: Python 3, `age` and PyNaCl.

What a member could do who replaces the program: every age file and row with every identity, every sealed record with
every key found on the way, whatever the records and the log say. Keys found in one folder are tried in all. Prints the
pairs that it opened, as one JSON object.

    relatch_intruder.py --identity FILE... FOLDER...
"""
import argparse
import hashlib
import hmac
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import tempfile

import nacl.bindings
import nacl.exceptions

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def hkdf(key, info, count):
    secret = hmac.new(bytes(32), key, hashlib.sha256).digest()
    return hmac.new(secret, info + b"\x01", hashlib.sha256).digest()[:count]


def scalar(identity):
    """The secret that an identity file encodes."""
    with open(identity) as file:
        text = next(line for line in file if line.startswith("AGE-SECRET-KEY-1")).strip()
    bits = "".join(f"{CHARSET.index(letter):05b}" for letter in text[len("AGE-SECRET-KEY-1"):-6].lower())
    return bytes(int(bits[at:at + 8], 2) for at in range(0, 256, 8))


def databases(folder):
    """The rows as they stand, and as they were when the write-ahead log began."""
    for names in (["vault.db", "vault.db-wal"], ["vault.db"]):
        with tempfile.TemporaryDirectory() as copy:
            for name in names:
                if os.path.exists(os.path.join(folder, name)):
                    shutil.copy(os.path.join(folder, name), copy)
            try:
                database = sqlite3.connect(os.path.join(copy, "vault.db"))
                tables = [name for name, in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
                yield {name: database.execute(f"SELECT key, value FROM {name}").fetchall() for name in tables}
                database.close()
            except sqlite3.DatabaseError:
                continue


class Place:
    def __init__(self, folder, tables):
        self.folder, self.tables = folder, tables
        self.vaults, self.names, self.rotated = set(), {}, {}
        for key, value in tables.get("header", []):
            self.vaults.add(json.loads(value)["id"])
        for key, value in tables.get("credentials", []):
            record = json.loads(value)
            self.names[record["id"]] = record["name"]
            for version in record["versions"]:
                self.rotated[record["id"], version["number"]] = version["stage"]
        self.purposes = {}
        for key, value in tables.get("keys", []):
            self.purposes[f"credential-key {key[:16].hex()}"] = None
        for key, value in tables.get("versions", []):
            number = struct.unpack(">Q", key[16:])[0]
            self.purposes[f"pair {key[:16].hex()} {number}"] = (key[:16].hex(), number)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--identity", action="append", required=True)
    arguments = parser.parse_args()
    places = [Place(folder, tables) for folder in arguments.folders for tables in databases(folder)]
    keys, blobs, records = set(), set(), set()
    for identity in arguments.identity:
        secret = scalar(identity)
        seed = hkdf(secret, b"relatch/v1/signing-key", 32)
        keys |= {secret, seed, hashlib.sha256(secret).digest(), hashlib.sha512(seed).digest()[:32], bytes(32)}
    for folder in arguments.folders:
        for path, _, names in os.walk(folder):
            for name in names:
                with open(os.path.join(path, name), "rb") as file:
                    blobs.add(file.read())
    for place in places:
        for table in place.tables.values():
            for key, value in table:
                blobs.add(value)
                if value[:1] == b"\x01" and len(value) >= 41:
                    records.add((place, value))
    opened = []
    for blob in blobs:
        if not blob.startswith((b"age-encryption.org/v1\n", b"-----BEGIN AGE ENCRYPTED FILE-----")):
            continue
        for identity in arguments.identity:
            result = subprocess.run(["age", "-d", "-i", identity], input=blob, capture_output=True)
            if result.returncode == 0:
                keys.add(result.stdout)
    tried = set()
    while keys - tried:
        key = (keys - tried).pop()
        tried.add(key)
        for place, record in records:
            for vault in place.vaults:
                for purpose, meaning in place.purposes.items():
                    data = f"relatch/v1 {vault} {purpose}".encode()
                    try:
                        plain = nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                            record[25:], data, record[1:25], key)
                    except (nacl.exceptions.CryptoError, ValueError, TypeError, nacl.exceptions.RuntimeError):
                        continue
                    if meaning is None:
                        keys.add(plain)
                    else:
                        opened.append((place.names.get(meaning[0], meaning[0]), meaning[1], json.loads(plain)))
    unique = {json.dumps(item, sort_keys=True) for item in opened}
    print(json.dumps({
        "keys": len(keys), "records": len(records),
        "pairs": [
            {"credential": name, "version": version, **pair} for name, version, pair in map(json.loads, sorted(unique))
        ],
    }))


if __name__ == "__main__":
    main()
