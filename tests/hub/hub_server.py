#!/usr/bin/env python3
"""A Hugging Face Hub on this machine, for tests: the API, files with etags, large files behind a redirect to a second
port, ranges, gates and tokens; and any failure that a rule asks for.

hub_server.py ROOT prints one line of JSON with both ports and serves ROOT/owner/name/... until its standard input closes.
ROOT/owner/name/.server.json may hold {"gated": true, "private": true, "token": "..."} for that model.

POST /_rules takes a list of rules; the first that matches a request changes the answer:
  match    regular expression on "METHOD port path", where port is "hub" or "cdn"
  times    how often it applies (default: always)
  status, headers, body    instead of the answer
  cut      bytes of the body after which the connection is broken
  stall    seconds to wait before the body; delay: seconds between pieces of `piece` bytes
  corrupt  true: the last byte of the body is another one
  no_range true: the whole file, whatever range was asked for
GET /_log returns all requests since the last POST /_rules. Standard library only; listens on 127.0.0.1 only.
"""
import hashlib
import json
import re
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

LARGE = (".safetensors", ".gguf", ".pt", ".bin")  # what the hub keeps in LFS
REVISIONS = ("main", "v1", "refs/pr/1")

state_lock = threading.Lock()
rules, log, digests = [], [], {}


def digest(path):
    """(git blob hash, SHA-256) of a file; large ones are hashed once."""
    info = path.stat()
    key = (str(path), info.st_mtime_ns, info.st_size)
    with state_lock:
        if key in digests:
            return digests[key]
    sha1, sha256 = hashlib.sha1(b"blob %d\0" % info.st_size), hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            sha1.update(piece)
            sha256.update(piece)
    with state_lock:
        digests[key] = (sha1.hexdigest(), sha256.hexdigest())
        return digests[key]


class Model:
    def __init__(self, repo):
        self.repo = repo
        self.path = Path(sys.argv[1]) / repo
        settings = self.path / ".server.json"
        self.settings = json.loads(settings.read_text()) if settings.is_file() else {}
        self.files = sorted(p.relative_to(self.path).as_posix() for p in self.path.rglob("*")
                            if p.is_file() and p.name != ".server.json")
        listing = "".join(f"{name} {digest(self.path / name)[1]}\n" for name in self.files)
        self.commit = hashlib.sha1(listing.encode()).hexdigest()

    def has_revision(self, revision):
        return revision in REVISIONS or revision == self.commit

    def entry(self, name):
        git, sha256 = digest(self.path / name)
        size = (self.path / name).stat().st_size
        entry = {"rfilename": name, "size": size, "blobId": git}
        if name.endswith(LARGE):
            entry["lfs"] = {"sha256": sha256, "size": size, "pointerSize": 134}
        return entry


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.handle_request()

    def do_GET(self):
        self.handle_request()

    def do_POST(self):
        length = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(length)
        if self.path == "/_rules":
            with state_lock:
                given = json.loads(body)
                rules[:] = given if isinstance(given, list) else [given]
                log.clear()
        self.answer(200, {}, b"{}")

    def handle_request(self):
        if self.path == "/_log":
            with state_lock:
                body = json.dumps(log).encode()
            return self.answer(200, {"Content-Type": "application/json"}, body)
        port = "cdn" if self.server.is_cdn else "hub"
        line = f"{self.command} {port} {self.path}"
        with state_lock:
            log.append({"line": line, "authorization": self.headers.get("authorization"), "range": self.headers.get("range")})
            self.rule = next((r for r in rules if r.get("times", 1) > 0 and re.search(r["match"], line)), {})
            if "times" in self.rule:
                self.rule["times"] -= 1
        if "status" in self.rule:
            return self.answer(self.rule["status"], self.rule.get("headers", {}), self.rule.get("body", "").encode())
        path = urlsplit(self.path).path
        if self.server.is_cdn:
            return self.send_file(Path(sys.argv[1]) / unquote(path[1:]), self.rule.get("headers", {}))
        for pattern, action in (
            (r"/api/models/([^/]+/[^/]+)/revision/([^/]+)", self.send_info),
            (r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", self.send_tree),
            (r"/api/models/([^/]+/[^/]+)/refs", self.send_refs),
            (r"/api/models/([^/]+/[^/]+)", self.send_info),
            (r"/api/resolve-cache/models/([^/]+/[^/]+)/([^/]+)/(.+)", self.send_small),
            (r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.resolve),
        ):
            if match := re.fullmatch(pattern, path):
                return action(*map(unquote, match.groups()))
        self.refuse(404, "", "Not found")

    def refuse(self, status, code, message):
        self.answer(status, {"X-Error-Code": code, "X-Error-Message": message}, json.dumps({"error": message}).encode())

    def open_model(self, repo, revision="main", for_files=False):
        """The model, or None when a refusal was sent."""
        model = Model(repo)
        authorized = self.headers.get("authorization") == "Bearer " + model.settings.get("token", "hf_right")
        if not model.path.is_dir() or (model.settings.get("private") and not authorized):
            self.refuse(401 if not authorized else 404, "RepoNotFound", "Repository not found")
        elif for_files and model.settings.get("gated") and not authorized:
            status = 403 if self.headers.get("authorization") else 401
            self.refuse(status, "GatedRepo", f"Access to model {repo} is restricted.")
        elif not model.has_revision(revision):
            self.refuse(404, "RevisionNotFound", "Invalid rev id: " + revision)
        else:
            return model
        return None

    def send_json(self, document):
        self.answer(200, {"Content-Type": "application/json"}, json.dumps(document).encode())

    def send_info(self, repo, revision="main"):
        if model := self.open_model(repo, revision):
            self.send_json({"id": repo, "modelId": repo, "sha": model.commit, "private": False,
                            "gated": "auto" if model.settings.get("gated") else False, "tags": [], "downloads": 0,
                            "siblings": [model.entry(name) for name in model.files]})

    def send_tree(self, repo, revision):
        if model := self.open_model(repo, revision):
            entries = []
            for name in model.files:
                info = model.entry(name)
                entry = {"type": "file", "path": name, "size": info["size"], "oid": info["blobId"]}
                if "lfs" in info:
                    entry["lfs"] = {"oid": info["lfs"]["sha256"], "size": info["size"], "pointerSize": 134}
                entries.append(entry)
            self.send_json(entries)

    def send_refs(self, repo):
        if model := self.open_model(repo):
            self.send_json({"branches": [{"name": "main", "ref": "refs/heads/main", "targetCommit": model.commit}],
                            "tags": [{"name": "v1", "ref": "refs/tags/v1", "targetCommit": model.commit}], "converts": []})

    def resolve(self, repo, revision, name):
        model = self.open_model(repo, revision, for_files=True)
        if model is None:
            return None
        common = {"X-Repo-Commit": model.commit}
        if name not in model.files:
            return self.answer(404, {**common, "X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"}, b"")
        if name.endswith(LARGE):
            sha256, size = digest(model.path / name)[1], (model.path / name).stat().st_size
            address = f"http://127.0.0.1:{self.server.cdn_port}/{quote(repo)}/{quote(name)}?signature=secret"
            return self.answer(302, {**common, "Location": address, "X-Linked-Size": str(size),
                                     "X-Linked-Etag": f'"{sha256}"', "ETag": '"of the pointer"'}, b"Found")
        return self.answer(307, {**common, "Location": f"/api/resolve-cache/models/{quote(repo)}/{model.commit}/{quote(name)}"},
                           b"Redirecting")

    def send_small(self, repo, commit, name):
        if model := self.open_model(repo, commit, for_files=True):
            path = model.path / name
            self.send_file(path, {"X-Repo-Commit": model.commit, "ETag": f'"{digest(path)[0]}"', **self.rule.get("headers", {})})

    def send_file(self, path, headers):
        if not path.is_file():
            return self.answer(404, {}, b"no such file")
        size = path.stat().st_size
        begin, end, status = 0, size, 200
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range") or "")
        if match and not self.rule.get("no_range"):
            begin = int(match[1])
            end = min(size, int(match[2]) + 1) if match[2] else size
            if begin >= size:
                return self.answer(416, {"Content-Range": f"bytes */{size}"}, b"")
            status = 206
            headers = {**headers, "Content-Range": f"bytes {begin}-{end - 1}/{size}"}
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(end - begin), "Accept-Ranges": "bytes"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.send_body(path, begin, end)
        return None

    def send_body(self, path, begin, end):
        rule = self.rule
        time.sleep(rule.get("stall", 0))
        left = min(end - begin, rule.get("cut", end - begin))
        with path.open("rb") as file:
            file.seek(begin)
            while left > 0:
                piece = bytearray(file.read(min(left, rule.get("piece", 1 << 16))))
                left -= len(piece)
                if rule.get("corrupt") and left == 0:
                    piece[-1] ^= 1
                self.wfile.write(piece)
                time.sleep(rule.get("delay", 0))
        if rule.get("cut", end - begin) < end - begin:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # clients that go away are part of the tests


def main():
    cdn = Server(("127.0.0.1", 0), Handler)
    hub = Server(("127.0.0.1", 0), Handler)
    cdn.is_cdn, hub.is_cdn = True, False
    hub.cdn_port = cdn.cdn_port = cdn.server_address[1]
    for server in (cdn, hub):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"hub": hub.server_address[1], "cdn": cdn.server_address[1]}), flush=True)
    sys.stdin.read()


main()
