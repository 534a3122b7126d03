#!/usr/bin/env python3
"""A witness, written from c2sp.org/tlog-witness and c2sp.org/tlog-cosignature alone: witness.py FOLDER [FAULT]

Serves on a free port of loopback, and writes `port` and `vkey` into FOLDER. FOLDER/logs has a line "ORIGIN VKEY..." for each log that
it knows, FOLDER/sizes what it saw. FOLDER/fault, or FAULT, is one of: slow, wrongkey, replay, huge, redirect, nosize, ahead, garbage,
future; FOLDER/requests gets each request as it came. Needs PyNaCl.
"""
import base64, hashlib, http.server, json, os, sys, time

import nacl.exceptions
import nacl.signing

from verify_bundle import consistency, decoded, sha256

NAME = "witness.example/w1"
folder = sys.argv[1]


def path(name):
    return os.path.join(folder, name)


def read(name):
    return open(path(name), encoding="utf-8").read() if os.path.exists(path(name)) else ""


def key_id(name, kind, public):
    return sha256(name.encode(), b"\n", bytes([kind]), public)[:4]


seed = hashlib.sha256(NAME.encode() + read("seed").encode()).digest()
key = nacl.signing.SigningKey(seed)
stranger = nacl.signing.SigningKey(hashlib.sha256(b"stranger").digest())


def cosign(text, moment, signing=None):
    signing = signing or key
    message = f"cosignature/v1\ntime {moment}\n{text}".encode()
    signature = key_id(NAME, 4, bytes(key.verify_key)) + moment.to_bytes(8, "big") + signing.sign(message).signature
    return f"— {NAME} {base64.b64encode(signature).decode()}\n"


def known_keys(origin):
    for line in read("logs").splitlines():
        words = line.split(" ")
        if words[0] == origin:
            return [decoded(word.split("+", 2)[2])[1:] for word in words[1:]]
    return None


def is_signed(note, text, origin, keys):
    for line in note.splitlines():
        dash, name, signature = line.split(" ")
        raw = decoded(signature)
        for public in keys:
            if name == origin and raw[:4] == key_id(name, 1, public):
                try:
                    nacl.signing.VerifyKey(public).verify(text.encode(), raw[4:])
                    return True
                except nacl.exceptions.BadSignatureError:
                    return False
    return False


def answer(body):
    """The status, the type and the body that the request is answered with."""
    head, text, signatures = body.decode().split("\n\n")
    text += "\n"
    old, *lines = head.split("\n")
    size = int(old.removeprefix("old "))
    origin, count, root = text.splitlines()[:3]
    if old != f"old {size}" or len(lines) > 63 or size > int(count):
        return 400, None, ""
    keys = known_keys(origin)
    if keys is None:
        return 404, None, ""
    if not is_signed(signatures, text, origin, keys):
        return 403, None, ""
    seen = json.loads(read("sizes") or "{}")
    known, known_root = seen.get(origin, [0, ""])
    if size != known:
        return 409, "text/x.tlog.size", f"{known}\n"
    if size == int(count) and size and root != known_root:
        return 409, None, ""
    proof = [decoded(line, 32) for line in lines]
    if size and size < int(count) and not consistency(size, int(count), proof, decoded(known_root), decoded(root)):
        return 422, None, ""
    if size in (0, int(count)) and proof:
        return 422, None, ""
    seen[origin] = [int(count), root]
    with open(path("sizes.new"), "w", encoding="utf-8") as file:
        json.dump(seen, file)
    os.rename(path("sizes.new"), path("sizes"))
    line = cosign(text, int(time.time()))
    with open(path("first"), "a", encoding="utf-8") as file:
        file.write(line)
    return 200, None, "— another.example AAAAAAAAAAAAAAAA\n" + line


class Witness(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        with open(path("requests"), "ab") as file:
            file.write(f"{self.command} {self.path}\n{self.headers}".encode() + body + b"\n")
        fault = read("fault").strip() or " ".join(sys.argv[2:])
        if fault == "slow":
            time.sleep(600)
        status, kind, text = answer(body) if self.path == "/prefix/add-checkpoint" else (404, None, "")
        checkpoint = body.decode().split("\n\n")[1] + "\n"
        if status != 200 and fault in ("wrongkey", "replay", "future"):
            pass
        elif fault == "wrongkey":
            text = cosign(checkpoint, int(time.time()), stranger)
        elif fault == "replay":
            text = read("first").splitlines()[0] + "\n"
        elif fault == "huge":
            text = text * 100000
        elif fault == "redirect":
            status = 307
        elif fault == "nosize":
            status, kind, text = 409, "text/plain", "7\n"
        elif fault == "ahead":
            status, kind, text = 409, "text/x.tlog.size", "1000000\n"
        elif fault == "garbage":
            text = "\n\n<html>log in first</html>\n"
        elif fault == "future":
            text = cosign(checkpoint, int(time.time()) + 86400)
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind or "text/plain")
        self.send_header("Content-Length", str(len(content)))
        if fault == "redirect":
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/prefix/add-checkpoint")
        self.end_headers()
        try:
            self.wfile.write(content)
        except OSError:
            pass

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(read("port") or 0)), Witness)
public = bytes(key.verify_key)
with open(path("vkey"), "w", encoding="utf-8") as file:
    file.write(f"{NAME}+{key_id(NAME, 4, public).hex()}+{base64.b64encode(bytes([4]) + public).decode()}")
with open(path("port.new"), "w", encoding="utf-8") as file:
    file.write(str(server.server_port))
os.rename(path("port.new"), path("port"))
server.serve_forever()
