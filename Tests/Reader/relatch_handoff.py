#!/usr/bin/env python3
"""Verifies a handoff, and a receipt of it, with nothing of Relatch: Python 3, the `age` program and PyNaCl.

Written from vault/handoff.md alone. Prints the terms as one JSON object, and never the pair. If anything is not what the page
says, it says so and exits with 65.

    relatch_handoff.py FILE --identity FILE [--receipt FILE]
"""
import argparse
import base64
import binascii
import hashlib
import json
import subprocess
import sys

import nacl.exceptions
import nacl.signing


class Refused(Exception):
    pass


def require(condition, what):
    if not condition:
        raise Refused(what)


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read(text, *members):
    value = json.loads(text)
    require(canonical(value) == text and set(value) == set(members), "JSON of another form")
    return value


def sha256(data):
    return hashlib.sha256(data).digest()


def verify(card, signature, domain, signed):
    key = nacl.signing.VerifyKey(base64.b64decode(card["signing"], validate=True))
    key.verify(domain + b"\n" + sha256(signed), base64.b64decode(signature, validate=True))


def read_handoff(path, identity):
    opened = subprocess.run(["age", "-d", "-i", identity, path], capture_output=True)
    require(opened.returncode == 0, "age does not open it")
    document = read(opened.stdout, "handoff", "pair", "signature")
    terms = document["handoff"]
    parts = {"client_id", "client_secret"}
    require(terms["v"] == 1, "another format")
    require("not-together-with" not in terms["policy"], "names of the sender's credentials in the policy")
    require(set(document["pair"]) in (parts, parts | {"registration_access_token"}), "no pair")
    verify(terms["sender"], document.pop("signature"), b"relatch/v1/handoff", canonical(document))
    return terms


def require_receipt(path, terms):
    with open(path, "rb") as file:
        text = file.read()
    require(text.endswith(b"\n"), "a receipt without its end")
    document = read(text[:-1], "receipt", "signature")
    receipt = document["receipt"]
    verify(receipt["opener"], document["signature"], b"relatch/v1/handoff-receipt", canonical(receipt))
    require(receipt["digest"] == base64.b64encode(sha256(canonical(terms))).decode(), "a receipt of other terms")
    expected = {
        "answer": terms["answer"], "credential_id": terms["credential_id"], "handoff": terms["id"], "v": 1,
        "vault": terms["vault"], "version": terms["version"],
    }
    require(expected.items() <= receipt.items(), "a receipt of another handoff")
    require(receipt["opener"]["age"] == terms["recipient"], "a receipt by another than it was for")


def main():
    parser = argparse.ArgumentParser(description="Verifies a handoff without Relatch.")
    parser.add_argument("file")
    parser.add_argument("--identity", required=True)
    parser.add_argument("--receipt")
    arguments = parser.parse_args()
    try:
        terms = read_handoff(arguments.file, arguments.identity)
        if arguments.receipt:
            require_receipt(arguments.receipt, terms)
    except (Refused, KeyError, TypeError, ValueError, binascii.Error, nacl.exceptions.CryptoError) as refusal:
        print(f"refused: {type(refusal).__name__}: {refusal}", file=sys.stderr)
        sys.exit(65)
    print(canonical(terms).decode())


if __name__ == "__main__":
    main()
