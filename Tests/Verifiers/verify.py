#!/usr/bin/env python3
"""Checks a tlog-proof with OpenSSL and Python's library, which share nothing with Relatch: verify.py KEY PROOF ENTRY

Ed25519 and SHA-256 are OpenSSL's; the walk up the tree is RFC 9162's, section 2.1.3.2. Exits with 1 for anything else than a valid
proof.
"""
import base64, hashlib, os, subprocess, sys, tempfile


def refuse(why):
    sys.exit(f"refused: {why}")


def decoded(text):
    content = base64.b64decode(text, validate=True)
    return content if base64.b64encode(content).decode() == text else refuse("base64 that is not canonical")


def is_signed(public_key, message, signature):
    # RFC 8410: the fixed head of an Ed25519 public key in DER.
    with tempfile.TemporaryDirectory() as folder:
        files = {"key": bytes.fromhex("302a300506032b6570032100") + public_key, "message": message, "signature": signature}
        for name, content in files.items():
            with open(f"{folder}/{name}", "wb") as file:
                file.write(content)
        run = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", f"{folder}/key", "-rawin",
             "-in", f"{folder}/message", "-sigfile", f"{folder}/signature"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return run.returncode == 0


def main(key, proof_file, entry_file):
    with open(proof_file, encoding="utf-8", newline="") as file:
        head, text, signatures = file.read().split("\n\n")
    with open(entry_file, "rb") as file:
        entry = file.read()
    origin, key_id, encoded = key.split("+", 2)
    public_key = decoded(encoded)[1:]
    for line in signatures.removesuffix("\n").split("\n"):
        dash, name, signature = line.split(" ")
        signature = decoded(signature)
        if dash != "—" or name != origin or signature[:4].hex() != key_id:
            refuse("a signature of another key")
        if not is_signed(public_key, (text + "\n").encode(), signature[4:]):
            refuse("a signature that OpenSSL does not verify")
    found, size, root = text.split("\n")
    header, index, *path = head.split("\n")
    number = index.removeprefix("index ")
    if found != origin or header != "c2sp.org/tlog-proof@v1" or str(int(number)) != number or str(int(size)) != size:
        refuse("another form")
    position, last = int(number), int(size) - 1
    if not 0 <= position <= last:
        refuse("an index that the tree does not have")
    digest = hashlib.sha256(b"\0" + entry).digest()
    for sibling in map(decoded, path):
        if last == 0:
            refuse("a path that is too long")
        if position & 1 or position == last:
            digest = hashlib.sha256(b"\1" + sibling + digest).digest()
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            digest = hashlib.sha256(b"\1" + digest + sibling).digest()
        position, last = position >> 1, last >> 1
    if last or digest != decoded(root):
        refuse("an entry that is not in the tree")


try:
    main(*sys.argv[1:])
except (ValueError, TypeError, OSError) as error:
    refuse(error)
