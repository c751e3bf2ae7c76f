"""What `make setup` installs and says, with a shell script in place of pip."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NoReturn
from urllib.request import Request

import pytest

import install

LOCK = "# made with pip freeze\nnumpy==2.4.6\ntorch==2.13.0\n" + "".join(f"other{n}==1.{n}\n" for n in range(38))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a lock of forty packages, on Linux without a GPU."""
    (tmp_path / "requirements.lock").write_text(LOCK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TORCH", raising=False)
    monkeypatch.setattr(install.sys, "platform", "linux")
    monkeypatch.setattr(install.shutil, "which", lambda name: None)
    monkeypatch.setattr(install, "CPU_INDEX", "http://127.0.0.1:9/whl/cpu")  # nobody answers
    monkeypatch.setattr(install.sys, "executable", str(stub(tmp_path, "")))
    return tmp_path


def stub(place: Path, then: str) -> Path:
    """A .venv/bin/python that notes its arguments and runs a piece of shell."""
    python = place / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f'#!/bin/sh\necho "$*" >>asked\n{then}\n')
    python.chmod(0o755)
    return python


def asked(place: Path) -> list[str]:
    return (place / "asked").read_text().splitlines()


@pytest.fixture
def index(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that answers as PyTorch's index would."""

    class Answer(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/whl/cpu"
    monkeypatch.setattr(install, "CPU_INDEX", url)
    yield url
    server.shutdown()
    server.server_close()


def test_without_a_gpu_the_cpu_build_comes_first_and_the_lock_after_it(place: Path, index: str) -> None:
    assert install.main() == 0
    venv, first, second = asked(place)
    assert venv == "-m venv .venv"
    assert first.endswith(f"--no-deps --index-url {index} torch==2.13.0")
    assert second.endswith("-r requirements.lock -c requirements.lock")


@pytest.mark.parametrize(
    ("choice", "platform", "gpu", "calls"),
    [("", "linux", True, 2), ("cpu", "linux", True, 3), ("cuda", "linux", False, 2), ("", "darwin", False, 2)],
)
def test_who_has_a_gpu_or_asks_for_cuda_gets_the_default_build(
    choice: str, platform: str, gpu: bool, calls: int, place: Path, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH", choice)
    monkeypatch.setattr(install.sys, "platform", platform)
    monkeypatch.setattr(install.shutil, "which", lambda name: "/usr/bin/nvidia-smi" if gpu else None)
    assert install.main() == 0
    assert len(asked(place)) == calls


def test_an_index_that_cannot_be_reached_or_lacks_the_build_costs_a_line(
    place: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install.main() == 0
    assert len(asked(place)) == 2
    assert "http://127.0.0.1:9/whl/cpu cannot be reached" in capsys.readouterr().out
    request.getfixturevalue("index")
    stub(place, 'case "$*" in *--index-url*) echo "ERROR: no matching distribution"; exit 1;; esac')
    assert install.main() == 0
    assert len(asked(place)) == 5
    captured = capsys.readouterr()
    assert "default build instead" in captured.out
    assert "no matching distribution" in captured.err


def test_a_server_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    returned, waited = threading.Event(), []

    def silent(request: Request, timeout: float) -> NoReturn:
        waited.append(returned.wait(60))
        raise TimeoutError

    monkeypatch.setattr(install, "urlopen", silent)
    assert not install.answers("http://127.0.0.1:9", 0.1)
    assert waited == []
    returned.set()


def test_progress_is_a_line_for_every_few_packages_and_every_large_file(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "sleep", lambda _: time.sleep(0.01))
    said = [f"Collecting other{n}==1.{n} (from -r requirements.lock)\n  Downloading o.whl (9 kB)" for n in range(38)]
    said[30:30] = ["Collecting torch==2.13.0", "  Downloading torch-2.13.0-cp311-linux_x86_64.whl (888.1 MB)"]
    said += ["Requirement already satisfied: numpy==2.4.6", "Installing collected packages: numpy, torch"]
    packages = place / ".venv/lib/python3.11/site-packages"
    unpack = f"for n in $(seq 25); do mkdir -p {packages}/o$n.dist-info; done; sleep 1"
    stub(place, "cat <<'END'\n" + "\n".join(said) + f"\nEND\n{unpack}")
    assert install.main() == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert lines == ["found 20 of 40", "downloading torch, 888.1 MB", "found 40 of 40", "installed 20 of 40"]


def test_a_failure_shows_what_pip_said_and_an_unknown_build_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stub(place, 'case "$*" in *pip*) echo "ERROR: disk full"; exit 7;; esac')
    assert install.main() == 7
    assert "ERROR: disk full" in capsys.readouterr().err
    monkeypatch.setenv("TORCH", "gpu")
    assert install.main() == 2
    assert "choose cpu or cuda" in capsys.readouterr().err
