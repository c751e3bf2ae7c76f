import hashlib
import re
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from datamodules import download
from datamodules.download import DATASETS, RemoteFile, fetch, main, sha256

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; breaks off after `cut` bytes as long as `cuts` is not used up."""

    cut = len(CONTENT)
    cuts = 0
    ranges = True
    endless = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def file(self) -> RemoteFile:
        return RemoteFile("set/file.gz", f"http://127.0.0.1:{self.server_address[1]}/file.gz", SHA256)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        start = int(re.findall(r"\d+", asked)[0]) if asked and self.server.ranges else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        if self.server.endless:
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(CONTENT)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        end = len(CONTENT)
        if self.server.cuts:
            self.server.cuts -= 1
            end = start + self.server.cut
        self.wfile.write(CONTENT[start:end])

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
    assert server.asked == [None]
    assert names(tmp_path) == ["file.gz"]


def test_broken_transfer_is_taken_up_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.cut, server.cuts = 1000, 2
    assert fetch(server.file, tmp_path, pause=0)
    assert (tmp_path / "set/file.gz").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=1000-", "bytes=2000-"]


def test_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.cut, server.cuts, server.ranges = 1000, 1, False
    assert fetch(server.file, tmp_path, pause=0)
    assert (tmp_path / "set/file.gz").read_bytes() == CONTENT


def test_next_call_goes_on_where_all_tries_failed(server: Server, tmp_path: Path) -> None:
    server.cut, server.cuts = 1000, 3
    with pytest.raises(ConnectionError, match=r"broke off .* bytes before the end.*save it as .*set/file\.gz"):
        fetch(server.file, tmp_path, pause=0)
    assert names(tmp_path) == ["file.gz.partial"]
    assert fetch(server.file, tmp_path, pause=0)
    assert server.asked[-1] == "bytes=3000-"


def test_whole_part_left_by_a_killed_process_is_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/file.gz.partial").write_bytes(CONTENT)
    assert fetch(server.file, tmp_path, pause=0)
    assert names(tmp_path) == ["file.gz"]


def test_wrong_content_is_not_kept(server: Server, tmp_path: Path) -> None:
    file = RemoteFile("set/file.gz", server.file.url, "0" * 64)
    with pytest.raises(ValueError, match=f"{SHA256}, not 0000.*nothing was saved"):
        fetch(file, tmp_path)
    assert names(tmp_path) == []


def test_the_part_of_another_file_is_not_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/file.gz.partial").write_bytes(b"something else")
    with pytest.raises(ValueError, match="nothing was saved"):
        fetch(server.file, tmp_path)
    assert names(tmp_path) == []
    assert fetch(server.file, tmp_path)
    assert (tmp_path / "set/file.gz").read_bytes() == CONTENT


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
    partial = tmp_path / "set/file.gz.partial"
    partial.parent.mkdir()
    partial.symlink_to("/dev/full")  # takes no byte
    assert main(["--data-dir", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert re.search(r"set/file\.gz cannot be saved \(.*No space left on device\): make room for it.*\n$", said)
    assert said.count("\n") == 1
    assert server.asked == [None]
    partial.unlink()
    assert main(["--data-dir", str(tmp_path)]) == 0


def test_a_file_where_the_folder_should_be_is_one_sentence(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(download, "DATASETS", {"one": [server.file]})
    (tmp_path / "set").write_text("mine")
    assert main(["--data-dir", str(tmp_path)]) == 1
    assert "cannot be saved" in capsys.readouterr().err
    assert (tmp_path / "set").read_text() == "mine"


def test_file_of_the_user_is_never_overwritten(server: Server, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set/file.gz").write_text("mine")
    with pytest.raises(ValueError, match="move it away to have it fetched anew"):
        fetch(server.file, tmp_path)
    assert (tmp_path / "set/file.gz").read_text() == "mine"
    assert server.asked == []


def refused() -> RemoteFile:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return RemoteFile("set/file.gz", f"http://127.0.0.1:{unused.getsockname()[1]}/", SHA256)


def test_without_network_one_sentence_says_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match=r"refused.*: fetch it by other means, save it as .*set/file\.gz"):
        fetch(refused(), tmp_path, pause=0)
    assert names(tmp_path) == []


def test_command_line(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(download, "DATASETS", {"one": [server.file], "two": [refused()]})
    monkeypatch.setattr(download, "TRIES", 1)
    assert main(["--data-dir", str(tmp_path), "one"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/set/file.gz: fetched, checksum right\n"
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert main(["one"]) == 0
    assert "already there" in capsys.readouterr().out
    (tmp_path / "set/file.gz").unlink()
    assert main(["two"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1


def test_no_name_means_all(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    other = RemoteFile("set/other.gz", server.file.url, SHA256)
    monkeypatch.setattr(download, "DATASETS", {"one": [server.file], "two": [other]})
    assert main(["--data-dir", str(tmp_path)]) == 0
    assert names(tmp_path) == ["file.gz", "other.gz"]


def test_unknown_corpus_lists_the_known(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["wmt"])
    assert "choose from" in capsys.readouterr().err


def test_every_file_is_pinned() -> None:
    for files in DATASETS.values():
        for file in files:
            assert re.search(r"/[0-9a-f]{40}/", file.url), file
            assert re.fullmatch(r"[0-9a-f]{64}", file.sha256), file


def test_checksums_are_those_of_the_corpora_in_use(real_data: Path) -> None:
    for files in DATASETS.values():
        for file in files:
            if (path := real_data / file.path).exists():
                assert sha256(path) == file.sha256


@pytest.fixture
def real_data() -> Path:
    path = download.find_data_dir(None)
    if not path.is_dir():
        pytest.skip("needs the corpora: `make data`, or DATA_DIR")
    return path
