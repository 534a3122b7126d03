#!/usr/bin/python3 -I
"""Speaks for Acme Keys, which is made up, by the contract of Relatch's provider `command`.

    command-example.py URL overlap|promotion|cut-over

Acme has GET /keys, POST /keys, POST /keys/ID/promote and DELETE /keys/ID for its administrator, and POST /token, which grants a
token to a pair; each with basic authentication. It shows a hash of each secret, and where it cuts over the current secret itself.
See command-contract.md.
"""
import base64
import hashlib
import http.client
import json
import sys

UNREACHABLE, LATER, NOT_PERMITTED, CONFIGURATION = 69, 75, 77, 78
UNKNOWN = 1  # whether anything was changed: Relatch looks


def end(code, reason):
    print(reason, file=sys.stderr)
    sys.exit(code)


class Acme:
    def __init__(self, url, pair):
        scheme, _, self.host = url.partition("://")
        self.kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        text = f"{pair['client_id']}:{pair['client_secret']}"
        self.authorization = "Basic " + base64.b64encode(text.encode()).decode()

    def ask(self, method, path, body=None):
        """The status and the JSON of an answer. What is not known to have been left undone ends with UNKNOWN."""
        lost = UNKNOWN if method in ("POST", "DELETE") and path != "/token" else UNREACHABLE
        connection = self.kind(self.host, timeout=20)
        try:
            connection.connect()
        except OSError as error:
            end(UNREACHABLE, f"no connection: {error.__class__.__name__}")
        try:
            connection.request(method, path, json.dumps(body), {"Authorization": self.authorization})
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            end(lost, f"{method} {path}: {error.__class__.__name__}")
        if answer.status == 429:
            end(LATER, "too many requests")
        if answer.status >= 500:
            end(lost, f"{method} {path}: HTTP {answer.status}")
        try:
            return answer.status, json.loads(text) if text else {}
        except ValueError:
            end(lost, f"{method} {path}: no JSON")

    def administer(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        if status in (401, 403):
            end(NOT_PERMITTED, f"{method} {path}: HTTP {status}")
        return status, answer


def whole(key):
    """A key of Acme's as a pair of the contract."""
    pair = {"client_id": key["client_id"], "handle": key["id"]}
    for name, theirs in (("client_secret", "secret"), ("key", "label"), ("place", "place")):
        if key.get(theirs):
            pair[name] = key[theirs]
    return pair


def observe(acme, request, replacement):
    status, keys = acme.administer("GET", "/keys")
    if status != 200:
        end(CONFIGURATION, f"GET /keys: HTTP {status}")
    hashes = [hashlib.sha256(pair["client_secret"].encode()).hexdigest() for pair in request["known"]]
    pairs = []
    for key in keys:
        pair = whole(key)
        if key["sha256"] in hashes:
            pair["known"] = hashes.index(key["sha256"])
        pairs.append(pair)
    return {"replacement": replacement, "pairs": pairs}


def stage(acme, request):
    # Acme answers with the key that it made before, and with its secret, if it has one of that label.
    status, key = acme.administer("POST", "/keys", {"label": request["key"]})
    if status not in (200, 201, 409):
        end(UNKNOWN, f"POST /keys: HTTP {status}")
    return {"error": "occupied"} if status == 409 else {"pair": whole(key)}


def change(acme, method, path):
    status, _ = acme.administer(method, path)
    if status != 404 and not 200 <= status < 300:
        end(UNKNOWN, f"{method} {path}: HTTP {status}")
    return {"error": "not-found"} if status == 404 else {}


def main():
    if len(sys.argv) != 3:
        end(CONFIGURATION, "expected URL overlap|promotion|cut-over")
    request = json.load(sys.stdin)
    operation = request["operation"]
    if operation == "grant":
        status, _ = Acme(sys.argv[1], request["pair"]).ask("POST", "/token")
        # Another status says nothing about the pair.
        if status not in (200, 401):
            end(UNKNOWN, f"POST /token: HTTP {status}")
        answer = {"status": status} if status == 200 else {"status": status, "error": "refused"}
    else:
        acme = Acme(sys.argv[1], request["admin"])
        if operation == "observe":
            answer = observe(acme, request, sys.argv[2])
        elif operation == "stage":
            answer = stage(acme, request)
        elif operation == "promote":
            answer = change(acme, "POST", f"/keys/{request['pair']['handle']}/promote")
        elif operation == "delete":
            answer = change(acme, "DELETE", f"/keys/{request['pair']['handle']}")
        else:
            end(CONFIGURATION, "an operation that this program does not know")
    json.dump(answer, sys.stdout)


main()
