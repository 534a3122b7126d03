#!/usr/bin/env python3
"""Reads a Relatch vault with nothing of Relatch: Python 3, the `age` program and PyNaCl.

Written from vault/*.md alone. Prints what it found as one JSON object. If anything does not authenticate, or is not what
the pages say, it says so and exits with 65.

    relatch_reader.py VAULT-FOLDER --identity FILE [--access]

With --access also who can open each credential, and who could and may no longer, as the log tells it.
"""
import argparse
import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import unicodedata

import nacl.bindings
import nacl.exceptions
import nacl.signing


# vault/log.md: what owners alone may do.
OF_OWNERS = {
    "credential.added", "credential.rekeyed", "credential.removed", "delivery.added", "delivery.removed", "grant.added",
    "grant.removed", "handoff.withdrawn", "member.added", "member.removed", "vault.rekeyed", "vault.restored",
    "witness.added", "witness.removed",
}


# vault/credential.md: the members that every record has, and those that it may have.
MEMBERS = {
    "header": ({"created", "id", "key", "v"}, set()),
    "member": ({"card", "entry"}, set()),
    "card": ({"age", "name", "role", "signing"}, set()),
    "credential": (
        {"admin", "created", "entry", "id", "key", "name", "policy", "provider", "rotation", "settings", "steps", "v",
         "versions"},
        {"deliveries", "elsewhere", "ended", "exposure", "grace_ends", "keyed", "leak", "reach", "reconciled",
         "transfer"}),
    "version": ({"created", "number", "since", "stage"}, {"expires", "handle"}),
    "exposure": ({"since", "to", "version"}, set()),
    "leak": ({"incident", "since", "version"}, set()),
    "reach": ({"by", "incident", "since"}, set()),
    "transfer": ({"expires", "handoff", "since", "version"}, {"attempts", "confirmed", "refused", "tried"}),
}


def of_owners_alone(entry):
    return entry["event"] in OF_OWNERS or entry["event"] == "handoff.sent" and entry.get("transfer") is True


class Refused(Exception):
    pass


def require(condition, what):
    if not condition:
        raise Refused(what)


def require_members(value, kind):
    must, may = MEMBERS[kind]
    require(must <= set(value) <= must | may, f"a {kind} with other members")


def sha256(data):
    return hashlib.sha256(data).digest()


def hkdf(key, info, count):
    """HKDF-SHA-256 (RFC 5869) with an empty salt."""
    secret = hmac.new(bytes(32), key, hashlib.sha256).digest()
    output, block = b"", b""
    while len(output) < count:
        block = hmac.new(secret, block + info + bytes([len(output) // 32 + 1]), hashlib.sha256).digest()
        output += block
    return output[:count]


def canonical(text):
    """Reads JSON that must be in the one form of RFC 8785; our numbers are integers and our keys sort as ASCII."""
    value = json.loads(text)
    again = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    require(again == text, "JSON that is not canonical")
    return value


def read_pair(text):
    """vault/sealed-record.md, "Pair"."""
    pair = canonical(text)
    parts = {"client_id", "client_secret"}
    require(set(pair) in (parts, parts | {"registration_access_token"}), "no pair")
    for part in pair.values():
        require(isinstance(part, str) and 1 <= len(part.encode()) <= 4096, "a part of a pair that is none")
        require(not any(ord(character) < 0x20 or ord(character) == 0x7F for character in part), "a control character")
    return pair


def age_open(sealed, identity):
    """The plaintext of an age file, or None."""
    result = subprocess.run(["age", "-d", "-i", identity], input=sealed, capture_output=True)
    return result.stdout if result.returncode == 0 else None


def open_record(record, key, vault, purpose):
    """vault/sealed-record.md"""
    require(len(record) >= 41 and record[0] == 1, "a sealed record of another format")
    data = f"relatch/v1 {vault} {purpose}".encode()
    return nacl.bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(record[25:], data, record[1:25], key)


def is_sealed(record):
    """Whether the bytes can be a sealed record: vault/sealed-record.md."""
    return len(record) >= 41 and record[0] == 1


def is_step(entry):
    """Whether the entry is a step of a rotation: vault/journal.md."""
    numbers = [(entry.get("rotation"), 8), (entry.get("step"), 4)]
    return all(type(number) is int and 0 <= number < 256**size for number, size in numbers)


def require_entry_form(entry, size):
    """vault/log.md, "Entry"."""
    require(size <= 65536 and type(entry["v"]) is int and entry["v"] == 1, "an entry of another format")
    require(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"], re.ASCII), "a time of another form")
    milliseconds(entry["time"])
    word = "[a-z][a-z0-9_-]*"
    require(re.fullmatch(rf"{word}(\.{word})+", entry["event"]) and len(entry["event"]) <= 128, "no event")
    require(re.fullmatch("[!-~]{1,128}", entry["member"]), "an entry by nobody")
    for part, event in [("vault", "vault.created"), ("key", "vault.rekeyed")]:
        if entry["event"] == event:
            require(re.fullmatch("([0-9a-f]{2}){8,32}", entry[part]), f"{event} of another form")


def require_card(card):
    require_members(card, "card")
    require(re.fullmatch("[!-~]{1,128}", card["name"]) and card["age"], "a card of nobody")
    require(card["role"] in ("owner", "operator", "auditor"), "a card of another role")
    require(len(base64.b64decode(card["signing"], validate=True)) == 32, "a card without a key")


def require_witness(witness):
    """vault/witness.md, "Log entries"."""
    place = {"file": "path", "folder": "path", "command": "argv", "http": "url"}[witness["kind"]]
    key = {"key"} if place != "path" else set()
    require(set(witness) == {"kind", "name", place} | key, "a witness with other members")
    require(re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,63}", witness["name"]), "a witness without a name")
    parts = witness[place] if place == "argv" else [witness[place]]
    require(1 <= len(parts) <= 64 and sum(len(part.encode()) for part in parts) <= 4096, "the place of a witness")
    require(not any(unicodedata.category(character) == "Cc" for character in "".join(parts)), "a control character")
    begin = ("https://", "http://") if place == "url" else "/"
    require(parts[0].startswith(begin) and not parts[0].endswith("/"), "the place of a witness")
    require(place != "url" or "?" not in parts[0], "a URL with a query")
    if key:
        name, key_id, key = witness["key"].split("+", 2)
        key = base64.b64decode(key, validate=True)
        require(len(key) == 33 and key[0] == 4, "a witness's key of another type")
        require(key_id == sha256(name.encode() + b"\n" + key)[:4].hex(), "a witness's key under another ID")


def tree_rows(leaves):
    """vault/log.md, "Tables": the hash of every complete subtree."""
    rows, level = {}, 0
    while leaves:
        rows.update((bytes([level]) + struct.pack(">Q", index), leaf) for index, leaf in enumerate(leaves))
        pairs = zip(leaves[::2], leaves[1::2])
        leaves, level = [sha256(b"\x01" + left + right) for left, right in pairs], level + 1
    return rows


def tree_root(leaves):
    """RFC 6962, section 2.1."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\x01" + tree_root(leaves[:split]) + tree_root(leaves[split:]))


def milliseconds(text):
    moment = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ")
    return (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(milliseconds=1)


def due_moment(record):
    """vault/credential.md, "Due moment": milliseconds since 1970, or None."""
    moments = []
    if "transfer" in record:
        return transfer_due(record)
    policy = record["policy"]
    active = next((version for version in record["versions"] if version["stage"] == "active"), None)
    require(active, "no active version")
    if {"exposure", "leak", "reach"} & set(record):
        return 0
    if record["rotation"] > record.get("ended", 0):
        if "grace_ends" not in record:
            return 0
        moments.append(milliseconds(record["grace_ends"]))
    elif "max-age" in policy:
        seed = sha256(bytes.fromhex(record["id"]) + f"jitter {active['number']}".encode())
        share = struct.unpack(">H", seed[:2])[0]
        early = duration(policy.get("jitter", "0s")) * share // 65536
        moments.append(milliseconds(active["created"]) + (duration(policy["max-age"]) - early) * 1000)
    if record["rotation"] <= record.get("ended", 0) and "expires" in active:
        end = milliseconds(active["expires"])
        life = max(0, end - milliseconds(active["created"]))
        moments.append(end - min(life // 4, 30 * 86_400_000))
    for delivery in record.get("deliveries", []):
        if delivery.get("on", "promoted") == "promoted" and delivery.get("delivered") != active["number"]:
            if "tried" in delivery:
                pause = min(6 * 3600, 60 << min(delivery["attempts"] - 1, 9))
                moments.append(milliseconds(delivery["tried"]) + pause * 1000)
            else:
                moments.append(milliseconds(record["created"]))
    return min(moments, default=None)


def transfer_due(record):
    """vault/handoff.md, "Transfer"."""
    transfer = record["transfer"]
    if not any(version["stage"] == "active" for version in record["versions"]):
        return None
    if "tried" in transfer:
        return milliseconds(transfer["tried"]) + min(6 * 3600, 60 << min(transfer["attempts"] - 1, 9)) * 1000
    return milliseconds(transfer.get("confirmed", transfer["expires"]))


def duration(text):
    return int(text[:-1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[text[-1]]


class Vault:
    def __init__(self, folder, identity):
        self.folder, self.identity = folder, identity
        # A copy: SQLite writes files of its own beside a database, even to read it.
        with tempfile.TemporaryDirectory() as copy:
            for name in ["vault.db", "vault.db-wal"]:
                if os.path.exists(os.path.join(folder, name)):
                    shutil.copy(os.path.join(folder, name), copy)
            database = sqlite3.connect(os.path.join(copy, "vault.db"))
            require(database.execute("PRAGMA application_id").fetchone()[0] == 0x524C5443, "another program's database")
            format_ = database.execute("PRAGMA user_version").fetchone()[0]
            require(format_ in (1, 2), "another format")
            names = "header members credentials keys grants versions journal log tree checkpoints leases".split()
            names += ["due", "apart"] if format_ == 2 else []
            table = "CREATE TABLE {} (key BLOB PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID"
            schema = sorted(sql or "" for sql, in database.execute("SELECT sql FROM sqlite_schema"))
            require(schema == sorted(map(table.format, names)), "another schema")
            self.tables = {
                name: dict(database.execute(f"SELECT key, value FROM {name} ORDER BY key")) for name in names
            }
            database.close()
            for name in ["due", "apart"]:
                self.tables.setdefault(name, {})

    def verify_log(self):
        """vault/log.md and vault/checkpoint.md; returns the entries."""
        entries = list(self.tables["log"].values())
        require(list(self.tables["log"]) == [struct.pack(">Q", n) for n in range(len(entries))], "a gap in the log")
        self.entries = [canonical(entry) for entry in entries]
        leaves = [sha256(b"\x00" + entry) for entry in entries]
        for entry, text in zip(self.entries, entries):
            require_entry_form(entry, len(text))
        require(self.tables["tree"] == tree_rows(leaves), "a tree that the entries do not have")
        genesis = self.entries[0]
        require(genesis["event"] == "vault.created", "a log that does not begin")
        owner = genesis["owner"]
        require_card(owner)
        require(owner["name"] == genesis["member"] and owner["role"] == "owner", "a log that nobody owns")
        members, closed = {owner["name"]: owner}, set()
        standings, self.key = {owner["name"]: 0}, genesis["key"]
        self.witnesses, self.leaves = {}, leaves
        for index, entry in enumerate(self.entries):
            actor = members.get(entry["member"])
            require(actor, f"entry {index} by a stranger")
            event = entry["event"]
            if index > 0:
                permitted = event != "vault.created" and (not of_owners_alone(entry) or actor["role"] == "owner")
                require(permitted, f"entry {index} not permitted")
            named = ["removed"] * (event == "member.removed") + ["witness"] * (event == "witness.removed")
            if of_owners_alone(entry):
                named += [key for key in ("credential", "grantee", "handoff") if key in entry]
                named += ["delivery"] * (event == "delivery.removed")
            require(all(re.fullmatch("[!-~]{1,128}", entry[key]) for key in named), f"entry {index} names nobody")
            if event == "member.added":
                require_card(entry["added"])
                name = entry["added"]["name"]
                require(name not in members, f"entry {index} adds a member twice")
                members[name], standings[name] = entry["added"], index
            elif event == "member.removed":
                require(entry["removed"] in members and entry["removed"] != actor["name"], f"entry {index}")
                del members[entry["removed"]], standings[entry["removed"]]
            elif event == "vault.rekeyed":
                self.key = entry["key"]
            elif event == "witness.added":
                require_witness(entry["witness"])
                self.witnesses[entry["witness"]["name"]] = index, entry["witness"]
            elif event == "witness.removed":
                self.witnesses.pop(entry["witness"], None)
            last = index + 1 == len(entries)
            if last or self.entries[index + 1]["member"] != entry["member"]:
                closed.add(index + 1)
                self.root = tree_root(leaves[: index + 1])
                self.verify_checkpoint(index + 1, self.root, actor, "relatch/" + genesis["vault"])
        require(set(self.tables["checkpoints"]) == {struct.pack(">Q", n) for n in closed}, "a stray checkpoint")
        self.members, self.standings = members, standings
        return self.entries

    def replay_access(self):
        """vault/credential.md, Grant and Exposure: who can open what, and who could, from the log alone."""
        members, credentials, admins = {}, {}, self.first_administrators()
        for index, entry in enumerate(self.entries):
            event, name = entry["event"], entry.get("credential")
            # Any member can write an entry about what is no credential: nothing becomes of it.
            if not isinstance(name, str) or event != "credential.added" and name not in credentials:
                name = None
            if event.startswith("rotation."):
                # A step stores the record; an entry that is none changes nothing.
                name = name if "record" in entry and is_step(entry) else None
                if name is not None:
                    credentials[name]["staging"] = event in ("rotation.stage.intended", "rotation.stage.lost")
            if event in ("vault.created", "member.added"):
                card = entry.get("owner") or entry["added"]
                members[card["name"]] = card["role"]
            elif event == "member.removed":
                gone = entry["removed"]
                open_ = {name for name, found in credentials.items()
                         if members[gone] == "owner" or gone in found["grantees"]}
                for exposed in self.with_administered(open_, credentials, index):
                    self.expose(credentials[exposed], gone, entry["time"])
                for credential in credentials.values():
                    credential["grantees"].discard(gone)
                del members[gone]
            elif name is None:
                continue
            elif event == "credential.added":
                exposure = entry.get("exposure")
                chain = self.chain(admins[index], credentials) if admins[index] != name else []
                # A transfer's sender may be one more; a record that could not be read ended the chain.
                more = self.named(exposure) - self.known_through(chain, credentials)
                hidden = self.known_through(chain[:1], credentials) - self.named(exposure)
                require(not hidden and (len(more) <= 1 or None in chain), f"entry {index} is exposed to others")
                credentials[name] = {
                    "admin": admins[index], "grantees": set(), "newest": 1, "staging": False, "exposure": exposure,
                }
            elif event == "credential.rekeyed" and "admin" in entry:
                for exposed, knowing in self.left_behind(name, index, credentials):
                    for member in knowing:
                        self.expose(credentials[exposed], member, entry["time"])
                credentials[name]["admin"] = entry["admin"]
            elif event == "credential.removed":
                del credentials[name]
            elif event == "grant.added":
                require(members.get(entry["grantee"]) == "operator", f"entry {index} grants to nobody")
                credentials[name]["grantees"].add(entry["grantee"])
            elif event == "grant.removed":
                credentials[name]["grantees"].discard(entry["grantee"])
                for exposed in self.with_administered({name}, credentials, index):
                    self.expose(credentials[exposed], entry["grantee"], entry["time"])
            elif event == "rotation.staged":
                credentials[name]["newest"] = entry.get("version", credentials[name]["newest"] + 1)
            elif event == "rotation.promoted":
                exposure = credentials[name]["exposure"]
                # One pair at most is staged, and it is the newest.
                if exposure and credentials[name]["newest"] > exposure["version"]:
                    credentials[name]["exposure"] = None
        self.owners = {name for name, role in members.items() if role == "owner"}
        self.accesses = credentials

    def first_administrators(self):
        """Who administered each credential when it was added, by the index of that entry; None if nothing says so."""
        later = {name.decode(): canonical(record)["admin"] for name, record in self.tables["credentials"].items()}
        first = {}
        for index, entry in reversed(list(enumerate(self.entries))):
            if entry["event"] == "credential.removed":
                later.pop(entry["credential"], None)
            elif entry["event"] == "credential.rekeyed" and "admin" in entry:
                later[entry["credential"]] = entry["before"]["admin"]
            elif entry["event"] == "credential.added":
                first[index] = later.pop(entry["credential"], None)
        return first

    def with_administered(self, names, credentials, index):
        """`names`, which entry `index` takes from a member, and what these administer, directly or through others."""
        names = set(names)
        for entry in self.entries[index + 1:] if names else []:
            # Only what the same commit gives another key.
            if entry["event"] != "credential.rekeyed" or "before" in entry or "with_all" in entry:
                break
            name = entry["credential"]
            # Nobody could read who administers what is withheld. Of what was removed since, the log may not say it.
            if name in credentials and (entry.get("terms") == "" or credentials[name]["admin"] is None):
                names.add(name)
        while True:
            more = {name for name, found in credentials.items() if found["admin"] in names} - names
            if not more:
                return names
            names |= more

    def left_behind(self, name, index, credentials):
        """Whom entry `index`, by which `name` gets another administrator, exposes it and what it administers to."""
        entry = self.entries[index]
        require(entry["before"]["admin"] == credentials[name]["admin"], f"entry {index} is about another administrator")
        former = self.administrators(name, credentials)
        next_ = self.chain(entry["admin"], credentials) if entry["admin"] != name else []
        found = [(name, entry, [])]
        for other in self.entries[index + 1:]:
            # Only what the same commit gives another key.
            if other["event"] != "credential.rekeyed" or "before" in other or "with_all" in other:
                break
            chain = self.administrators(other["credential"], credentials)
            require(name in chain or None in chain, f"entry {index} exposes what {name} does not administer")
            between = chain[:chain.index(name) + 1] if name in chain else chain
            found.append((other["credential"], other, between))
        exposed = []
        for credential, entry, between in found:
            before = self.named(credentials[credential]["exposure"])
            said = self.named(entry.get("exposure"))
            # A record that could not be read ended a chain, and a writer went no further.
            rules = [self.passed(credential, between, upper, lower, credentials)
                     for upper in self.cuts(former) for lower in self.cuts(next_)]
            members = next((rule for rule in rules if rule | before == said), None)
            if members is None:
                unknown = None in former + next_ + between
                require(unknown and before <= said, f"entry {index} exposes {credential} to others")
                members = said - before
            exposed.append((credential, members))
        return exposed

    def passed(self, credential, between, former, next_, credentials):
        """Who could open one of `former`, but none of what they can go on with; and whom one of `next_` exposes."""
        def grantees(names):
            return {member for name in names for member in credentials.get(name, {}).get("grantees", ())}
        left = grantees(former) - grantees([credential] + between + next_)
        return left | self.known_through(next_, credentials)

    def known_through(self, administrators, credentials):
        """Everyone to whom one of `administrators` is exposed."""
        return {member for name in administrators if name in credentials
                for member in self.named(credentials[name]["exposure"])}

    @staticmethod
    def named(exposure):
        return set(exposure["to"]) if exposure else set()

    @staticmethod
    def cuts(chain):
        """`chain`, and what is left of it if it ends after one of its members, longest first."""
        return [chain[:count] for count in range(len(chain), min(1, len(chain)) - 1, -1)]

    def chain(self, admin, credentials):
        """`admin`, and what administers it."""
        return [admin] + self.administrators(admin, credentials)

    @staticmethod
    def administrators(name, credentials):
        """What administers `name`, nearest first; None at its end if the log does not say who is next."""
        chain, next_ = [], name
        while next_ in credentials:
            admin = credentials[next_]["admin"]
            if admin == name or admin in chain:
                break
            chain.append(admin)
            next_ = admin
        return chain

    @staticmethod
    def expose(credential, member, time):
        before = credential["exposure"] or {"since": time, "to": [], "version": 0}
        newest = credential["newest"] + credential["staging"]
        credential["exposure"] = {
            "since": before["since"], "to": sorted(set(before["to"]) | {member}),
            "version": max(before["version"], newest),
        }

    def verify_checkpoint(self, size, root, member, origin):
        note = self.tables["checkpoints"].get(struct.pack(">Q", size))
        require(note, f"no checkpoint of size {size}")
        text, signatures = note.decode().split("\n\n")
        require(text.split("\n") == [origin, str(size), base64.b64encode(root).decode()], f"checkpoint {size}")
        key = base64.b64decode(member["signing"], validate=True)
        key_id = sha256(origin.encode() + b"\n\x01" + key)[:4]
        for line in signatures.splitlines():
            signature = base64.b64decode(line.removeprefix(f"— {origin} "), validate=True)
            if signature[:4] == key_id:
                nacl.signing.VerifyKey(key).verify((text + "\n").encode(), signature[4:])
                return
        raise Refused(f"checkpoint {size} is not signed by {member['name']}")

    def require_witnessed(self):
        """vault/witness.md, "Records". One that is missing is a gap, and says nothing."""
        origin = "relatch/" + self.entries[0]["vault"]
        for index, witness in self.witnesses.values():
            path = os.path.join(self.folder, "witnesses", f"{index}-{witness['name']}")
            if not os.path.exists(path):
                continue
            with open(path, "rb") as file:
                text, signatures = file.read().decode().split("\n\n")
            size = int(text.split("\n")[1])
            require(0 <= size <= len(self.leaves), "a witness saw more of the log than there is")
            root = base64.b64encode(tree_root(self.leaves[:size])).decode()
            require(text.split("\n")[:3] == [origin, str(size), root], "a witness saw another log")
            if "key" in witness:
                name, key_id, key = witness["key"].split("+", 2)
                lines = [base64.b64decode(line.removeprefix(f"— {name} "), validate=True)
                         for line in signatures.splitlines() if line.startswith(f"— {name} ")]
                lines = [line for line in lines if line[:4].hex() == key_id]
                require(lines, "a record that its witness has not signed")
                for line in lines:
                    signed = f"cosignature/v1\ntime {struct.unpack('>Q', line[4:12])[0]}\n{text}\n"
                    nacl.signing.VerifyKey(base64.b64decode(key)[1:]).verify(signed.encode(), line[12:])

    def require_entry(self, record, index, about, value):
        """Fails unless log entry `index` carries the record's digest and is about it."""
        require(index < len(self.entries), "a record that names no log entry")
        entry = self.entries[index]
        require(entry.get(about) == value, f"entry {index} is about something else")
        require(entry.get("record") == base64.b64encode(sha256(record)).decode(), f"a record that entry {index} denies")

    def read(self, with_access=False):
        self.verify_log()
        self.replay_access()
        require(set(self.tables["header"]) == {b"vault"}, "another header")
        header = canonical(self.tables["header"][b"vault"])
        require_members(header, "header")
        first = self.entries[0]
        require(header["v"] == 1, "another format")
        require(
            (header["id"], header["key"], header["created"]) == (first["vault"], self.key, first["time"]),
            "a header that the log denies")
        for name, record in self.tables["members"].items():
            member = canonical(record)
            require_members(member, "member")
            require(member["card"]["name"].encode() == name, "a member under another's name")
            require(member["card"] == self.members.get(name.decode()), "a member that the log denies")
            require(member["entry"] == self.standings[name.decode()], "a member since another entry")
            self.require_entry(record, member["entry"], "owner" if member["entry"] == 0 else "added", member["card"])
        path = os.path.join(self.folder, "keys", header["key"] + ".age")
        with open(path, "rb") as file:
            vault_key = age_open(file.read(), self.identity)
        if vault_key is not None:
            require(hkdf(vault_key, b"relatch/v1/vault-key-id", 16).hex() == header["key"], "another vault's key")
        self.require_witnessed()
        self.require_current()
        self.require_indexed()
        self.require_nothing_left()
        self.require_restores(header["id"])
        rows = self.tables["credentials"].items()
        credentials = [self.read_credential(*row, header["id"], vault_key) for row in rows]
        access = {
            name: {
                "exposure": credential["exposure"], "members": sorted(self.owners | credential["grantees"]),
            } for name, credential in self.accesses.items()
        }
        return {
            **({"access": access} if with_access else {}),
            "credentials": [credential for credential in credentials if credential],
            "entries": len(self.entries),
            "owner": first["owner"],
            "root": base64.b64encode(self.root).decode(),
            "vault": header["id"],
        }

    def require_current(self):
        """Each record is true; none may be older than the newest, or be missing."""
        newest = {}
        for index, entry in enumerate(self.entries):
            name = entry.get("credential")
            if entry["event"] == "credential.removed":
                newest.pop(name, None)
            elif "record" in entry and isinstance(name, str):
                if name in newest or entry["event"] == "credential.added":
                    newest[name] = index
        records = {name.decode(): canonical(record) for name, record in self.tables["credentials"].items()}
        found = {name: record["entry"] for name, record in records.items()}
        require(found == newest, "credentials that are not the newest that the log speaks of")
        members = {name.decode() for name in self.tables["members"]}
        require(members == set(self.members), "members that are not those the log ends with")
        steps = set()
        added = {entry["credential"]: index for index, entry in enumerate(self.entries)
                 if entry["event"] == "credential.added"}
        for index, entry in enumerate(self.entries):
            name = entry.get("credential")
            if is_step(entry) and isinstance(name, str) and name in records and index > added[name]:
                key = bytes.fromhex(records[name]["id"]) + struct.pack(">QI", entry["rotation"], entry["step"])
                require(self.tables["journal"].get(key) == struct.pack(">Q", index), "a step that no journal points at")
                steps.add(key)
        vault = bytes.fromhex(self.entries[0]["vault"])
        rows = {key for key in self.tables["journal"] if key[:16] != vault}
        require(rows == steps, "a journal with steps that the log does not speak of")

    def require_indexed(self):
        """vault/storage.md, "Indexes"."""
        due, apart = set(), set()
        for name, row in self.tables["credentials"].items():
            record = canonical(row)
            moment = due_moment(record)
            due.add(struct.pack(">Q", 2**64 - 1 if moment is None else max(0, moment)) + name)
            for other in filter(None, record["policy"].get("not-together-with", "").split(",")):
                apart.add(other.encode() + b"\0" + name)
        if self.tables["due"] or self.tables["apart"]:
            require(due == set(self.tables["due"]), "an index that finds what is due at another time, or not at all")
            require(apart == set(self.tables["apart"]), "an index of another not-together-with")

    def require_nothing_left(self):
        """Of a credential that was removed there is no key and no pair; of the others there is each that must be."""
        records = [canonical(record) for record in self.tables["credentials"].values()]
        present = {bytes.fromhex(record["id"]) for record in records}
        require(set(self.tables["keys"]) == present, "keys that are not those of the credentials")
        grants = {bytes.fromhex(record["id"]) + name.encode()
                  for record in records for name in self.accesses[record["name"]]["grantees"]}
        require(set(self.tables["grants"]) == grants, "grants that are not those that the log speaks of")
        require(all(map(is_sealed, self.tables["keys"].values())), "a key that is no sealed record")
        # The journal of restores is the vault's own.
        present.add(bytes.fromhex(self.entries[0]["vault"]))
        require({key[:16] for key in self.tables["journal"]} <= present, "a journal of a credential that is not there")
        numbers = {bytes.fromhex(record["id"]) + struct.pack(">Q", version["number"]): version["stage"] == "retired"
                   for record in records for version in record["versions"]}
        require(set(self.tables["versions"]) <= set(numbers), "a pair of a version that no record has")
        for row, is_retired in numbers.items():
            require(is_retired or is_sealed(self.tables["versions"].get(row, b"")), "a pair that is missing or damaged")

    def require_restores(self, vault):
        """vault/backup.md"""
        vault = bytes.fromhex(vault)
        rows = sorted(row for row in self.tables["journal"].items() if row[0][:16] == vault)
        told = [row for row in enumerate(self.entries) if row[1]["event"] == "vault.restored"]
        wanted = [(vault + struct.pack(">QI", entry["restore"], 0), struct.pack(">Q", index)) for index, entry in told]
        require(rows == wanted, "a journal of other restores than the log's")

    def credential_key(self, record, vault, vault_key):
        identifier = bytes.fromhex(record["id"])
        if vault_key is not None:
            key = open_record(self.tables["keys"][identifier], vault_key, vault, f"credential-key {record['id']}")
        else:
            grants = [grant for name, grant in self.tables["grants"].items() if name[:16] == identifier]
            key = next(filter(None, (age_open(grant, self.identity) for grant in grants)), None)
        if key is not None:
            require(hkdf(key, b"relatch/v1/credential-key-id", 16).hex() == record["key"], "another credential's key")
        return key

    def read_credential(self, name, bytes_, vault, vault_key):
        record = canonical(bytes_)
        require_members(record, "credential")
        for version in record["versions"]:
            require_members(version, "version")
        for part in {"exposure", "leak", "reach", "transfer"} & set(record):
            require_members(record[part], part)
        require(record["name"].encode() == name and record["v"] == 1, "a credential under another's name")
        self.require_entry(bytes_, record["entry"], "credential", record["name"])
        require(record.get("exposure") == self.accesses[record["name"]]["exposure"], "an exposure that the log denies")
        self.require_terms(record)
        self.verify_journal(record)
        key = self.credential_key(record, vault, vault_key)
        if key is None:
            return None
        pairs = {}
        for version in record["versions"]:
            if version["stage"] == "retired":
                continue
            row = bytes.fromhex(record["id"]) + struct.pack(">Q", version["number"])
            purpose = f"pair {record['id']} {version['number']}"
            pairs[str(version["number"])] = read_pair(open_record(self.tables["versions"][row], key, vault, purpose))
        active = [version["number"] for version in record["versions"] if version["stage"] == "active"]
        require(record.get("transfer", {}).get("handoff") == self.handed_over(record["name"]), "a transfer of nobody's")
        if "transfer" in record:
            sent = record["transfer"]["version"]
            stage = next(version["stage"] for version in record["versions"] if version["number"] == sent)
            require(not {"leak", "reach"} & set(record), "a leak of what was handed over")
            require(active or "confirmed" in record["transfer"], "a transfer that is settled without a receipt")
            require((active, stage) in (([sent], "active"), ([], "retired")), "a transfer of another version")
        require(len(active) == 1 or "transfer" in record, "not one active version")
        leaked = record.get("leak", {"version": 0})["version"]
        left = [version["number"] for version in record["versions"] if version["stage"] != "retired"]
        require("leak" not in record or left and min(left) <= leaked, "a leak that is over")
        numbers = [version["number"] for version in record["versions"]]
        moved = record.get("elsewhere", numbers)
        require(moved and moved == sorted(set(moved)) and set(moved) <= set(numbers), "a version elsewhere")
        by = record.get("reach", {"by": [""]})["by"]
        require(by and by == sorted(set(by)), "a reach of nobody")
        return {"active": active[0] if active else None, "name": record["name"], "pairs": pairs}

    def handed_over(self, name):
        """vault/handoff.md, "Transfer": by which handoff an owner handed a credential over; None if none did."""
        newest = None
        for entry in self.entries:
            if entry.get("credential") == name:
                if entry["event"] == "handoff.sent" and entry.get("transfer") is True:
                    newest = entry["handoff"]
                elif entry["event"] in ("handoff.withdrawn", "credential.added", "credential.removed"):
                    newest = None
        return newest

    def require_terms(self, record):
        """vault/credential.md, "Terms"."""
        name = record["name"]
        keyed = None
        for index, entry in enumerate(self.entries):
            if entry.get("credential") == name and entry["event"] in ("credential.added", "credential.rekeyed"):
                keyed = index
        entry = self.entries[keyed]
        if "terms" not in entry:
            require("keyed" not in record and "exposure" not in record, "terms that nobody gave")
            return
        parts = ("admin", "created", "id", "key", "name", "provider", "settings")
        terms = json.dumps(
            {part: record[part] for part in parts}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        require(record.get("keyed") == keyed, "a record that rests on an older entry of an owner's")
        require(entry["terms"] == base64.b64encode(sha256(terms.encode())).decode(), "terms that no owner gave")
        sent = record.get("transfer", {}).get("version")
        active = next((version["number"] for version in record["versions"] if version["stage"] == "active"), sent)
        exposure = entry.get("exposure")
        if exposure is not None and exposure["version"] < active:
            exposure = None
        require(record.get("exposure") == exposure, "another exposure than an owner's entry has")

    def verify_journal(self, record):
        """vault/journal.md"""
        prefix = bytes.fromhex(record["id"]) + struct.pack(">Q", record["rotation"])
        rows = [(key, value) for key, value in self.tables["journal"].items() if key[:24] == prefix]
        require(len(rows) == record["steps"], "a journal that was cut off")
        for step, (key, value) in enumerate(rows):
            require(key == prefix + struct.pack(">I", step), "a journal with a gap")
            entry = self.entries[struct.unpack(">Q", value)[0]]
            expected = (record["name"], record["rotation"], step)
            require((entry["credential"], entry["rotation"], entry["step"]) == expected, "a journal of another")


def main():
    parser = argparse.ArgumentParser(description="Reads a Relatch vault without Relatch.")
    parser.add_argument("folder")
    parser.add_argument("--identity", required=True)
    parser.add_argument("--access", action="store_true")
    arguments = parser.parse_args()
    try:
        found = Vault(arguments.folder, arguments.identity).read(arguments.access)
    except (
        Refused, AttributeError, KeyError, TypeError, ValueError, struct.error, nacl.exceptions.CryptoError) as refusal:
        print(f"refused: {type(refusal).__name__}: {refusal}", file=sys.stderr)
        sys.exit(65)
    print(json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


if __name__ == "__main__":
    main()
