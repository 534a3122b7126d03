#!/usr/bin/env python3
"""Fills a vault that `relatch init` made, in one go: many credentials, each with five versions and ten log entries; with --added
each as it was added, with one version and one entry.

Written from vault/*.md alone, with Python 3, the `age` program and PyNaCl; a hundred thousand credentials take about a
minute, by `relatch add` they would take a night. `relatch log verify` says whether it is right.

    big_vault.py VAULT-FOLDER IDENTITY CREDENTIALS [--added]
"""
import base64
import datetime
import glob
import hashlib
import hmac
import json
import os
import sqlite3
import struct
import subprocess
import sys

import nacl.bindings
import nacl.signing

VERSIONS = 5
# The last of four rotations: the new pair is active and verified, the old one is left alone. That is 10 with the first.
STEPS = """begun stage.intended staged validate.intended validated promote.intended promoted verify.intended
    verified""".split()


def sha256(data):
    return hashlib.sha256(data).digest()


def hkdf(key, info, count):
    secret = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(secret, info + b"\x01", "sha256")[:count]


def scalar(identity):
    """The bytes of an AGE-SECRET-KEY-1… (Bech32)."""
    line = next(line for line in identity.split() if line.startswith("AGE-SECRET-KEY-1"))
    letters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    bits = "".join(f"{letters.index(letter):05b}" for letter in line.lower().split("1", 1)[1][:-6])
    return bytes(int(bits[at : at + 8], 2) for at in range(0, 256, 8))


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def time(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


class Maker:
    def __init__(self, folder, identity, steps):
        self.steps, self.versions = steps, VERSIONS if steps else 1
        self.database = sqlite3.connect(os.path.join(folder, "vault.db"), isolation_level=None)
        self.header = json.loads(self.database.execute("SELECT value FROM header").fetchone()[0])
        self.member = json.loads(self.database.execute("SELECT value FROM members").fetchone()[0])["card"]["name"]
        with open(identity) as file:
            seed = hkdf(scalar(file.read()), b"relatch/v1/signing-key", 32)
        self.signing = nacl.signing.SigningKey(seed)
        self.vault_key = subprocess.check_output(
            ["age", "-d", "-i", identity] + glob.glob(os.path.join(folder, "keys", "*.age")))
        (first,) = self.database.execute("SELECT value FROM log").fetchone()
        self.log = [first]

    def seal(self, plaintext, key, purpose):
        nonce = os.urandom(24)
        data = f"relatch/v1 {self.header['id']} {purpose}".encode()
        return b"\x01" + nonce + nacl.bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, data, nonce, key)

    def fill(self, count):
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        self.database.execute("BEGIN IMMEDIATE")
        # Ascending, as the names: rows are then appended.
        for number, identifier in enumerate(sorted(os.urandom(16) for _ in range(count)), 1):
            self.add(f"crm-{number:06}", identifier, now)
        put = self.database.executemany
        put("INSERT INTO log VALUES (?, ?)", ((struct.pack(">Q", i), e) for i, e in enumerate(self.log) if i > 0))
        self.sign()
        self.database.execute("COMMIT")
        self.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def add(self, name, identifier, now):
        created, rotated = now - datetime.timedelta(days=200), now - datetime.timedelta(hours=1)
        grace_ends = now + datetime.timedelta(days=30)
        key = os.urandom(32)
        first = len(self.log)

        def version(number):
            stage = ["active", "previous"][self.versions - number] if self.versions - number < 2 else "retired"
            made = time(created if number == 1 else rotated)
            return {"created": made, "number": number, "since": time(rotated) if self.steps else made, "stage": stage}

        terms = {
            "admin": name, "created": time(created), "id": identifier.hex(),
            "key": hkdf(key, b"relatch/v1/credential-key-id", 16).hex(), "name": name, "provider": "salesforce",
            "settings": {"app": "0xI" + identifier.hex()[:15], "url": "https://crm.example"},
        }
        rotations = {"ended": VERSIONS - 2, "grace_ends": time(grace_ends)} if self.steps else {}
        record = canonical({
            **terms, **rotations, "entry": first + len(self.steps), "keyed": first,
            "policy": {"grace": "30d", "max-age": "90d", "propagation": "10m"}, "rotation": self.versions - 1,
            "steps": len(self.steps), "v": 1, "versions": [version(number) for number in range(1, self.versions + 1)],
        })
        # Records of before are gone; nobody asks for what had their digests.
        older = base64.b64encode(sha256(name.encode())).decode()
        digest = base64.b64encode(sha256(record)).decode()
        self.log.append(canonical({
            "credential": name, "event": "credential.added", "member": self.member, "provider": "salesforce",
            "record": older if self.steps else digest, "terms": base64.b64encode(sha256(canonical(terms))).decode(), "time": time(created), "v": 1,
            "version": 1,
        }))
        put = self.database.execute
        for step, event in enumerate(self.steps):
            is_last = step == len(self.steps) - 1
            entry = {
                "credential": name, "event": f"rotation.{event}", "member": self.member,
                "record": digest if is_last else older, "rotation": VERSIONS - 1, "step": step,
                "time": time(rotated), "v": 1, "version": VERSIONS - 1 if step == 0 else VERSIONS,
            }
            if is_last:
                entry["grace_ends"] = time(grace_ends)
            put("INSERT INTO journal VALUES (?, ?)",
                (identifier + struct.pack(">QI", VERSIONS - 1, step), struct.pack(">Q", len(self.log))))
            self.log.append(canonical(entry))
        put("INSERT INTO credentials VALUES (?, ?)", (name.encode(), record))
        put("INSERT INTO keys VALUES (?, ?)",
            (identifier, self.seal(key, self.vault_key, f"credential-key {identifier.hex()}")))
        for number in range(1, self.versions + 1):
            pair = canonical({"client_id": f"3MVG9.{identifier.hex()}.{number}", "client_secret": os.urandom(32).hex()})
            put("INSERT INTO versions VALUES (?, ?)",
                (identifier + struct.pack(">Q", number), self.seal(pair, key, f"pair {identifier.hex()} {number}")))
        # What was only added is due by its age.
        due = int((grace_ends if self.steps else created + datetime.timedelta(days=90)).timestamp()) * 1000
        put("INSERT INTO due VALUES (?, ?)", (struct.pack(">Q", due) + name.encode(), b""))

    def sign(self):
        """The tree of all entries, and one checkpoint: they are all one member's."""
        level, nodes, peaks = 0, [sha256(b"\x00" + entry) for entry in self.log], []
        while nodes:
            rows = ((struct.pack(">BQ", level, index), node) for index, node in enumerate(nodes))
            self.database.executemany("INSERT OR REPLACE INTO tree VALUES (?, ?)", rows)
            if len(nodes) % 2:
                peaks.append(nodes[-1])
            nodes = [sha256(b"\x01" + nodes[at] + nodes[at + 1]) for at in range(0, len(nodes) - 1, 2)]
            level += 1
        root = peaks[0]
        for peak in peaks[1:]:
            root = sha256(b"\x01" + peak + root)
        origin = "relatch/" + self.header["id"]
        text = f"{origin}\n{len(self.log)}\n{base64.b64encode(root).decode()}\n".encode()
        public = self.signing.verify_key.encode()
        key_id = sha256(origin.encode() + b"\n\x01" + public)[:4]
        signature = base64.b64encode(key_id + self.signing.sign(text).signature).decode()
        self.database.execute("DELETE FROM checkpoints")
        self.database.execute(
            "INSERT INTO checkpoints VALUES (?, ?)",
            (struct.pack(">Q", len(self.log)), text + f"\n— {origin} {signature}\n".encode()))


if __name__ == "__main__":
    folder, identity, count = sys.argv[1:4]
    Maker(folder, identity, [] if "--added" in sys.argv[4:] else STEPS).fill(int(count))
