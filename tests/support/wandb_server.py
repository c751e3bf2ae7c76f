"""A stand-in for the W&B server on 127.0.0.1: it keeps what a client sends and can be asked to misbehave.

It speaks the part of the protocol that runs, `wandb sync`, sweeps, workspaces and reports use. The names of operations
are internal to wandb and may change with it: one that is not known is answered with nothing and kept in `unknown`.
"""

import gzip
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import wandb

from experiments.tracking.logger import decide_mode
from tests.support.wandb_answers import ANSWERS, ENTITY, Kept, SentRun, Variables

API_KEY = "a" * 40


class WandbServer(Kept):
    """The server, with everything that clients have sent.

    Attributes:
        requests, unknown: Names of operations in order; those without an answer.
        failing: While it is not 0, the status of every response: 403 refuses.
        gone: While it is set, every connection ends without a response.
        late: No response leaves before it is set.
    """

    def __init__(self) -> None:
        self._http = QuietServer(("127.0.0.1", 0), handler_of(self))
        super().__init__(url=f"http://127.0.0.1:{self._http.server_address[1]}")
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.failing = 0
        self.gone = False
        self.late = threading.Event()
        self.late.set()
        self._lock = threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """Sends a client here, and nowhere else."""
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": API_KEY,
            "WANDB_ENTITY": ENTITY,
            "WANDB_ERROR_REPORTING": "false",
            "NO_PROXY": "127.0.0.1",
        }

    @contextmanager
    def running(self) -> Iterator["WandbServer"]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.late.set()
            self._http.shutdown()
            self._http.server_close()
            thread.join()

    def answer(self, operation: str, variables: Variables) -> dict[str, Any]:
        """The `data` of the response to a GraphQL operation."""
        with self._lock:
            self.requests.append(operation)
            reply = ANSWERS.get(operation)
            if reply is None:
                self.unknown.append(operation)
                return {}
            return reply(self, variables)

    def take_stream(self, run: SentRun, body: dict[str, Any]) -> None:
        """The files that grow during a run: history and summary."""
        with self._lock:
            for file, part in (body.get("files") or {}).items():
                rows = [json.loads(line) for line in part["content"]] if file.endswith((".json", ".jsonl")) else []
                if file == "wandb-history.jsonl":
                    run.history += rows
                elif file == "wandb-summary.json":
                    run.summary = rows[-1]
            run.ended |= bool(body.get("complete"))


@contextmanager
def connected(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    """A server that the clients of this process and of its children are logged in to."""
    without_login(folder, monkeypatch)
    with WandbServer().running() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("WANDB_MODE", "online")
        yield server
        wandb.teardown()


def without_login(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a login, a home folder or a mode, and nobody to answer a prompt."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_MODE", "")  # so that what the code writes to it is undone
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    for place in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{place}_DIR", str(folder / "wandb-of-user" / place.lower()))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    wandb.teardown()
    decide_mode.cache_clear()


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients go away in the middle of things; that is their business."""


def handler_of(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: Any) -> None:
            """Tests need no access log."""

        def body(self) -> bytes:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

        def reply(self, content: Any, status: int = 200) -> None:
            server.late.wait()
            if server.gone:
                self.close_connection = True
                return
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self.reply({}, server.failing or 200)

        def do_PUT(self) -> None:
            content = self.body()
            if not server.failing:
                server.files[unquote(self.path).removeprefix("/upload/")] = content
            self.reply({}, server.failing or 200)

        def do_POST(self) -> None:
            content = json.loads(self.body() or b"{}")
            if server.failing:
                self.reply({"errors": [{"message": "refused"}]}, server.failing)
            elif self.path.endswith("/graphql"):
                name = re.search(r"(?:query|mutation)\s+(\w+)", content["query"])
                data = server.answer(name[1] if name else "", content.get("variables") or {})
                self.reply({"data": data})
            else:
                if self.path.endswith("/file_stream"):
                    server.take_stream(server.run(self.path.split("/")[-2]), content)
                self.reply({"exitcode": None, "limits": {}})

    return Handler
