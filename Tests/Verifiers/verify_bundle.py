#!/usr/bin/env python3
"""Verifies an evidence bundle, written from vault/bundle.md, log.md and checkpoint.md alone: verify_bundle.py BUNDLE [OWNER-KEY
[WITNESS-KEY]]

Prints the entries, one a line, and exits with 0 if nothing of the bundle was altered; otherwise with 1. Needs PyNaCl.
"""
import base64, hashlib, json, re, sys

import nacl.exceptions
import nacl.signing

# The clock's moment must exist; what else these must be is said in log.md.
EVENTS_OF_OWNERS = """member.added member.removed vault.rekeyed credential.added credential.rekeyed credential.removed delivery.added
    delivery.removed grant.added grant.removed handoff.withdrawn vault.restored witness.added
    witness.removed""".split()


def refuse(why):
    sys.exit(f"refused: {why}")


def canonical(value):
    # RFC 8785 sorts by UTF-16 code units; integers are all the numbers there are.
    def ordered(value):
        if isinstance(value, dict):
            return {name: ordered(value[name]) for name in sorted(value, key=lambda name: name.encode("utf-16-be"))}
        if isinstance(value, list):
            return [ordered(element) for element in value]
        if isinstance(value, float):
            refuse("a number that is no integer")
        return value

    return json.dumps(ordered(value), separators=(",", ":"), ensure_ascii=False).encode()


def parsed(line, names=None):
    try:
        value = json.loads(line)
    except ValueError:
        refuse("a line that is no JSON")
    if not isinstance(value, dict) or canonical(value) != line or len(line) > 131072:
        refuse("a line that is not canonical")
    if names is not None and set(value) != set(names):
        refuse(f"a line without exactly {names}")
    return value


def decoded(text, size=None):
    content = base64.b64decode(text, validate=True)
    if base64.b64encode(content).decode() != text or size not in (None, len(content)):
        refuse("base64 that is not canonical, or of another size")
    return content


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


class Checkpoint:
    def __init__(self, note, origin):
        text, _, signature = note.rpartition("\n\n")
        self.text = text + "\n"
        lines = text.split("\n")
        match = re.fullmatch(r"— (\S+) (\S+)\n", signature)
        if len(lines) != 3 or lines[0] != origin or not match or match[1] != origin:
            refuse("a checkpoint of another form or log")
        if not re.fullmatch(r"0|[1-9][0-9]*", lines[1]):
            refuse("a size that is no number")
        self.note, self.size, self.root, self.signature = note, int(lines[1]), decoded(lines[2], 32), decoded(match[2], 68)
        self.origin = origin

    def is_signed_by(self, key):
        if sha256(self.origin.encode(), b"\n\x01", key)[:4] != self.signature[:4]:
            return False
        try:
            nacl.signing.VerifyKey(key).verify(self.text.encode(), self.signature[4:])
            return True
        except nacl.exceptions.BadSignatureError:
            return False


def inclusion(leaf, index, size, path, root):
    """RFC 9162, section 2.1.3.2."""
    position, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = sha256(b"\1", sibling, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = sha256(b"\1", found, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and found == root


def consistency(first, second, path, first_root, second_root):
    """RFC 9162, section 2.1.4.2."""
    if first == second:
        return not path and first_root == second_root
    if not path:
        return False
    path = ([first_root] if first & (first - 1) == 0 else []) + path
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    one = two = path[0]
    for node in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            one, two = sha256(b"\1", node, one), sha256(b"\1", node, two)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            two = sha256(b"\1", two, node)
        position, last = position >> 1, last >> 1
    return last == 0 and one == first_root and two == second_root


def card(value):
    if set(value) != {"age", "name", "role", "signing"} or value["role"] not in ("owner", "operator", "auditor"):
        refuse("a card of another form")
    return {"name": value["name"], "role": value["role"], "key": decoded(value["signing"], 32)}


def is_cosigned(text, signatures, witness_key):
    """witness.md: whether the witness of this key text signed the checkpoint."""
    name, key_id, encoded = witness_key.split("+", 2)
    key = decoded(encoded, 33)
    if key[0] != 4 or sha256(name.encode(), b"\n", key)[:4].hex() != key_id:
        refuse("a key that is no witness's")
    signed = False
    for line in signatures.splitlines():
        _, found, signature = line.split(" ")
        signature = decoded(signature)
        if found == name and signature[:4].hex() == key_id:
            time = int.from_bytes(signature[4:12], "big")
            message = f"cosignature/v1\ntime {time}\n{text}".encode()
            try:
                nacl.signing.VerifyKey(key[1:]).verify(message, signature[12:])
            except (nacl.exceptions.BadSignatureError, ValueError):
                refuse("a cosignature that does not verify")
            signed = True
    return signed


def main(path, owner_key=None, witness_key=None):
    vouched = False
    with open(path, "rb") as file:
        content = file.read()
    if not content.endswith(b"\n"):
        refuse("no newline at the end")
    lines = iter(content[:-1].split(b"\n"))
    head = parsed(next(lines), ["origin", "type", "v"])
    origin = head["origin"]
    if head["type"] != "bundle" or head["v"] is not True and head["v"] != 1 or head["v"] is True:
        refuse("another format")
    line = parsed(next(lines), ["note", "path"])
    newest = Checkpoint(line["note"], origin)
    if line["path"] != []:
        refuse("a path of the newest checkpoint")
    run, actor, start, lower, members, count, cosigned = None, None, 0, 0, {}, 0, 0
    for line in lines:
        value = parsed(line)
        if "cosigned" in value:
            value = parsed(line, ["cosigned", "path"])
            text, _, signatures = value["cosigned"].rpartition("\n\n")
            first, size, root = text.split("\n")
            if run or first != origin or not cosigned < int(size) <= newest.size or str(int(size)) != size:
                refuse("a cosigned checkpoint that is not where it belongs")
            if not re.fullmatch(r"(— \S+ \S+\n)+", signatures):
                refuse("a cosigned checkpoint of another form")
            hashes = [decoded(node, 32) for node in value["path"]]
            if not consistency(int(size), newest.size, hashes, decoded(root, 32), newest.root):
                refuse("a cosigned checkpoint that is not consistent with the newest")
            cosigned = int(size)
            if witness_key:
                vouched |= is_cosigned(text + "\n", signatures, witness_key)
            continue
        if "note" in value:
            value = parsed(line, ["note", "path"])
            if run and actor is None:
                refuse("a run without an entry")
            start = run.size if run else 0
            run, actor = Checkpoint(value["note"], origin), None
            hashes = [decoded(node, 32) for node in value["path"]]
            if not start < run.size <= newest.size:
                refuse("checkpoints out of order")
            if not consistency(run.size, newest.size, hashes, run.root, newest.root):
                refuse("a checkpoint that is not consistent with the newest")
            lower = max(lower, start)
            continue
        if "type" in value:
            value = parsed(line, ["entries", "type"])
            if value["type"] != "end" or type(value["entries"]) is not int or value["entries"] != count or next(lines, None) is not None:
                refuse("an end that is none")
            break
        value = parsed(line, ["index", "path"])
        index, hashes = value["index"], [decoded(node, 32) for node in value["path"]]
        text = next(lines, None)
        if text is None or run is None or type(index) is not int or not lower <= index < run.size:
            refuse("a proof that is not where it belongs")
        if not inclusion(sha256(b"\0", text), index, run.size, hashes, run.root):
            refuse(f"entry {index} is not in the tree")
        entry = parsed(text)
        name, event = entry["member"], entry["event"]
        if index == 0:
            founder = card(entry["owner"])
            if event != "vault.created" or founder["name"] != name or founder["role"] != "owner" or (
                    origin != "relatch/" + entry["vault"]):
                refuse("another beginning")
            members[name] = founder
            key = founder["key"]
            told = f"{origin}+{sha256(origin.encode(), bytes([10, 1]), key)[:4].hex()}+{base64.b64encode(bytes([1]) + key).decode()}"
            if owner_key not in (None, told):
                refuse("another owner")
        elif name not in members:
            refuse(f"{name} is not a member at entry {index}")
        elif event == "vault.created" or event in EVENTS_OF_OWNERS and members[name]["role"] != "owner":
            refuse(f"{event} by {name} at entry {index}")
        acting = members[name]
        if event == "member.added":
            added = card(entry["added"])
            if added["name"] in members:
                refuse("a member who is one already")
            members[added["name"]] = added
        elif event == "member.removed":
            if entry["removed"] == name or members.pop(entry["removed"], None) is None:
                refuse("a removal of nobody")
        if actor is None:
            if not run.is_signed_by(acting["key"]):
                refuse(f"{name} did not sign the checkpoint of entry {index}")
            actor = name
        elif actor != name:
            refuse("a run of two members")
        lower, count = index + 1, count + 1
        print(index, text.decode())
    else:
        refuse("no end")
    if run is None or actor is None or run.size == newest.size and run.note != newest.note:
        refuse("an end that is none")
    if not any(newest.is_signed_by(member["key"]) for member in members.values()):
        refuse("nobody who is a member signed the newest checkpoint")
    if witness_key and not vouched:
        refuse("the witness has signed no checkpoint in it")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (ValueError, TypeError, KeyError, AttributeError, StopIteration, OSError) as error:
        refuse(repr(error))
