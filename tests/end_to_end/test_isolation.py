"""Tests pass however they are started, and leave no process behind: planted tests in a pytest of their own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import PROC
from tests.support.readme import ROOT
from tests.support.waiting import alive, wait

PLANTED = """
import signal, subprocess
import pytest
from tests.support import processes

processes.GRACE = 0.2
USUAL = [signal.SIGINT, signal.SIGHUP, signal.SIGTERM]

@pytest.mark.parametrize("number", USUAL)
def test_a_signal_ends_a_child_whatever_the_test_before_ignored(number):
    assert subprocess.run(["sh", "-c", f"kill -{int(number)} $$"]).returncode == -number
    assert signal.SIG_IGN not in map(signal.getsignal, USUAL)
    signal.signal(number, signal.SIG_IGN)  # as Lightning does

def test_fails_and_leaves_its_child():
    subprocess.Popen(["sleep", "600.25"], env={"PATH": "/bin:/usr/bin"})
    assert not "a failure"

def test_passes_and_leaves_what_its_child_started():
    subprocess.run("setsid sleep 600.25 & setsid sleep 600.25 &", shell=True)

@pytest.fixture(scope="module")
def server():
    process = subprocess.Popen(["sleep", "600.5"])
    yield process
    process.kill()
    process.wait()

def test_uses_a_process_of_the_module_and_waits_for_its_child(server):
    assert server.poll() is None
    subprocess.Popen(["sleep", "0.1"])
"""
# What nohup, a script's `&` and a service with nothing to read from do
IGNORING = 'trap "" INT HUP TERM; exec "$@" <&-'


@pytest.mark.skipif(not PROC.exists(), reason="needs /proc")
def test_signals_are_the_usual_ones_and_no_process_is_left(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_planted.py").write_text(PLANTED)
    pytest_here = [sys.executable, "-m", "pytest", "-c", str(tmp_path / "pytest.ini"), str(tmp_path)]
    plugins = ["-p", "no:xdist", "-p", "no:cacheprovider", "-p", "tests.support.processes"]
    command = ["sh", "-c", IGNORING, "sh", *pytest_here, *plugins]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert "1 failed, 5 passed, 2 errors in" in said, said
    killed = [
        re.findall(r"(\d+) sleep 600\.25\b", line) for line in re.findall("^E .*killed now:.*", said, re.MULTILINE)
    ]
    assert [len(pids) for pids in killed] == [1, 2]
    wait(lambda: not [pid for pids in killed for pid in pids if alive(int(pid))])
