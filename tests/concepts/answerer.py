"""A server that speaks OpenAI's protocol and answers by rules, and can be told to fail."""

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MARKED = re.compile(r"<<(.+?)>>")


class Answerer(ThreadingHTTPServer):
    """Names what stands between marks; says yes where a marked word is in the name."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.failures: list[Any] = []
        """What the next answers are instead: a status, a status with headers, a body, `slow`."""
        self.asked: list[dict[str, Any]] = []
        """Every request."""
        self.keys: list[str | None] = []
        """Its key."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Answerer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(body) | {"path": self.path})
        self.server.keys.append(self.headers["Authorization"])
        failure = self.server.failures.pop(0) if self.server.failures else None
        if failure == "slow":
            time.sleep(1.0)
        if isinstance(failure, tuple):
            self._send(failure[0], b"told to fail", failure[1])
            return
        if isinstance(failure, bytes):
            self._send(200, failure)
            return
        question = self.server.asked[-1]["messages"][1]["content"]
        content = failure["content"] if isinstance(failure, dict) else _answer(question)
        said = {"choices": [{"message": {"role": "assistant", "content": content}}]}
        try:
            self._send(200, json.dumps(said).encode())
        except BrokenPipeError:
            assert failure == "slow"

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _answer(question: str) -> str:
    lines = re.findall(r"^\d+\. (.+)$", question, re.MULTILINE)
    said_to_fire = re.search(r"said to fire at: (.+)", question)
    if said_to_fire is None:
        firing = re.findall(r"^\d+\. .+$", question.partition("It does not")[0], re.MULTILINE)
        words = [word for word, _ in Counter(MARKED.findall("\n".join(firing))).most_common(3)]
        return f"Sure!\n```json\n{json.dumps({'label': 'one of ' + ' '.join(sorted(words))})}\n```"
    known = set(json.loads(said_to_fire[1]).split())
    answers = ["yes" if MARKED.findall(line)[0] in known else "no" for line in lines]
    return json.dumps({"answers": answers})


@contextmanager
def answering() -> Iterator[Answerer]:
    """Run a server for a while."""
    server = Answerer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
