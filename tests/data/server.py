"""A server on this machine that can be told to misbehave."""

import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """Serves `files`, a content by path; `faults` are what goes wrong, one for each request, in turn.

    `("drop", n)` breaks the connection after n bytes, `("short", n)` ends the body after n bytes without a word,
    `("status", code)` answers with a code, `("page",)` with the page of a login, `("other piece",)` with a range that
    was not asked for, `("slow", s)` waits between halves, `None` does what is right.
    """

    def __init__(self, ranges=True, marks=True):
        self.files, self.faults, self.requests = {}, [], []
        self.ranges, self.marks, self.version = ranges, marks, "one"
        self.headers = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_port}"

    def close(self):
        if not self.thread.is_alive():
            return
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def answer(self, request):
        self.requests.append((request.path, dict(request.headers)))
        kind, *how = (self.faults.pop(0) if self.faults else None) or ("right",)
        if kind == "page":
            return self.send(request, 200, b"<html>Please log in</html>")
        content = self.files.get(request.path)
        if kind == "status" or content is None:
            return self.send(request, how[0] if how else 404, b"no")
        begin, tag = 0, f'"{self.version}"'
        asked = re.match(r"bytes=(\d+)-", request.headers.get("Range", ""))
        if asked and self.ranges and request.headers.get("If-Range", tag) == tag:
            begin = int(asked[1]) - (3 if kind == "other piece" else 0)
            if begin >= len(content):
                return self.send(request, 416, b"")
        headers = {"ETag": tag} if self.marks else {}
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        body = content[begin:]
        cut = how[0] if kind in ("drop", "short") else len(body)
        if kind == "slow":
            self.send(request, 206 if begin else 200, body[: len(body) // 2], headers, len(body))
            time.sleep(how[0])
            request.wfile.write(body[len(body) // 2 :])
            return None
        self.send(request, 206 if begin else 200, body[:cut], headers, len(body))
        if cut < len(body):
            request.close_connection = True
        return None

    def send(self, request, code, body, headers=None, length=None):
        request.send_response(code)
        for name, value in {**self.headers, **(headers or {})}.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body) if length is None else length))
        request.end_headers()
        request.wfile.write(body)
        request.wfile.flush()
