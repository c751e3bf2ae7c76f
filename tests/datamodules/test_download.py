import hashlib
import os
import re
import socket
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from datamodules import download
from datamodules.download import DATASETS, RemoteFile, fetch, main, sha256

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves the first `cut` bytes of CONTENT, or bytes without end."""

    cut = len(CONTENT)
    endless = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = 0

    @property
    def file(self) -> RemoteFile:
        return RemoteFile("set/file.gz", f"http://127.0.0.1:{self.server_address[1]}/file.gz", SHA256)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has enough hangs up, which needs no traceback."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        self.send_response(200)
        if self.server.endless:
            self.end_headers()
            while True:
                self.wfile.write(CONTENT)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: self.server.cut])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_whole_file_arrives_once(server: Server, tmp_path: Path) -> None:
    assert fetch(server.file, tmp_path)
    assert (tmp_path / "set/file.gz").read_bytes() == CONTENT
    assert not fetch(server.file, tmp_path)
    assert server.requests == 1
    assert names(tmp_path) == ["file.gz"]


def test_a_broken_transfer_leaves_nothing_and_is_repeated_by_the_next_call(server: Server, tmp_path: Path) -> None:
    server.cut = 1000
    message = r"IncompleteRead\(1000 bytes read, 255000 more.*run this again.*save it as .*set/file\.gz"
    with pytest.raises(ConnectionError, match=message):
        fetch(server.file, tmp_path)
    assert names(tmp_path) == []
    server.cut = len(CONTENT)
    assert fetch(server.file, tmp_path)
    assert (tmp_path / "set/file.gz").read_bytes() == CONTENT


def test_wrong_content_is_not_kept(server: Server, tmp_path: Path) -> None:
    file = RemoteFile("set/file.gz", server.file.url, "0" * 64)
    with pytest.raises(ValueError, match=f"{SHA256}, not 0000.*nothing was saved"):
        fetch(file, tmp_path)
    assert names(tmp_path) == []


def test_content_without_end_does_not_fill_the_disk(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "LONGEST", 10 * len(CONTENT))
    server.endless = True
    with pytest.raises(ValueError, match="nothing was saved"):
        fetch(server.file, tmp_path)
    assert names(tmp_path) == []


def test_a_full_disk_is_told_once_and_not_blamed_on_the_server(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(download, "DATASETS", {"one": [server.file]})
    partial = tmp_path / f"set/file.gz.{os.getpid()}.partial"
    partial.parent.mkdir()
    partial.symlink_to("/dev/full")  # takes no byte
    assert main(["--data_dir", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert re.search(r"set/file\.gz cannot be saved \(.*No space left on device\): make room for it.*\n$", said)
    assert said.count("\n") == 1
    assert names(tmp_path) == []
    assert main(["--data_dir", str(tmp_path)]) == 0


def test_file_of_the_user_is_never_overwritten(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/file.gz").write_text("mine")
    with pytest.raises(ValueError, match="move it away to have it fetched again"):
        fetch(server.file, tmp_path)
    assert (tmp_path / "set/file.gz").read_text() == "mine"
    assert server.requests == 0


def refused() -> RemoteFile:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return RemoteFile("set/file.gz", f"http://127.0.0.1:{unused.getsockname()[1]}/", SHA256)


def test_command_line(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(download, "DATASETS", {"one": [server.file], "two": [refused()]})
    assert main(["--data_dir", str(tmp_path), "one"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/set/file.gz: fetched, checksum right\n"
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert main(["one"]) == 0
    assert "already there" in capsys.readouterr().out
    (tmp_path / "set/file.gz").unlink()
    assert main(["two"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    other = RemoteFile("set/other.gz", server.file.url, SHA256)
    monkeypatch.setattr(download, "DATASETS", {"one": [server.file], "two": [other]})
    assert main([]) == 0  # all of them
    assert names(tmp_path) == ["file.gz", "other.gz"]


def test_every_file_is_pinned_to_what_is_in_use() -> None:
    for files in DATASETS.values():
        for file in files:
            assert re.search(r"/[0-9a-f]{40}/", file.url), file
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256), file
            if (path := download.find_data_dir(None) / file.path).exists():
                assert sha256(path.read_bytes()) == file.sha256
