import platform
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.launch import ray_cluster
from experiments.launch.ray_cluster import (
    Machine,
    Project,
    Request,
    check,
    connected,
    installed,
    marked,
    problem_here,
    request,
)
from tests.support.ray_runs import mistake, needs_ray


def machines(*offers: tuple[int, int]) -> list[Machine]:
    return [Machine(f"machine{i}", f"node{i}", cpus, gpus) for i, (cpus, gpus) in enumerate(offers)]


@pytest.mark.parametrize(
    ("there", "devices", "jobs", "takes"),
    [
        (machines((16, 0)), 1, 1, Request(16, 0)),  # the whole machine
        (machines((16, 0)), 1, 8, Request(2, 0)),
        (machines((16, 0), (4, 0)), 1, 1, Request(4, 0)),  # as many threads wherever it goes
        (machines((2, 0)), 1, 8, Request(1, 0)),
        (machines((16, 4)), 1, 1, Request(4, 1)),  # a run for each GPU, though one at once was asked for
        (machines((16, 4)), 2, 1, Request(8, 2)),
        (machines((16, 4)), 4, 1, Request(16, 4)),
        (machines((16, 2)), 1, 8, Request(2, 0.25)),  # small runs share
        (machines((64, 0), (16, 4)), 1, 1, Request(4, 1)),  # a machine without GPUs gets none of these runs
        (machines((16, 1), (16, 4)), 4, 1, Request(16, 4)),
        (machines((16, 4), (8, 4)), 1, 1, Request(2, 1)),  # as many threads wherever it goes
    ],
)
def test_a_run_takes_its_gpus_and_its_share_of_the_cores_of_the_smallest_machine_that_fits(
    there: list[Machine], devices: int, jobs: int, takes: Request
) -> None:
    assert request("auto", devices, there, jobs) == takes
    if takes.gpus:
        assert request("gpu", devices, there, jobs) == takes
    assert request("cpu", 1, there, 1) == Request(min(machine.cpus for machine in there), 0)


@pytest.mark.parametrize("there", [machines((16, 2), (16, 1)), machines((16, 0))])
def test_a_run_that_fits_no_machine_is_refused(there: list[Machine], capsys: pytest.CaptureFixture[str]) -> None:
    with mistake(r"a run takes 4 GPUs .* more than [02]: ask for fewer", capsys):
        request("gpu", 4, there, 1)


def test_runs_of_several_gpus_share_none(capsys: pytest.CaptureFixture[str]) -> None:
    with mistake(r"3 runs at once \(JOBS\) of 2 GPUs each .* with 4: JOBS=2 do", capsys):
        request("gpu", 2, machines((16, 4)), 3)


@pytest.mark.parametrize(
    ("address", "why"),
    [("127.0.0.1:1", "refused"), ("ray://127.0.0.1:10001", "not host:port"), ("nonsense", "not host:port")],
)
@pytest.mark.parametrize("given", ["argument", "environment"])
def test_an_address_where_no_cluster_is_is_refused_at_once(
    address: str, why: str, given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Left to itself Ray tries for minutes; and it would not do to start a cluster elsewhere than the user said."""
    needs_ray()
    monkeypatch.setenv("RAY_ADDRESS", address if given == "environment" else "127.0.0.1:9")
    with (
        mistake(rf"{address} is no Ray cluster .*{why}.*ray start", capsys),
        connected(address if given == "argument" else ""),
    ):
        raise AssertionError


def test_without_ray_a_sentence_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    command = r"\.venv/bin/pip install -r requirements-ray\.lock"
    with mistake(rf"LAUNCHER=ray needs Ray, .*: {command}", capsys), connected(""):
        raise AssertionError


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with marked(tmp_path / "runs") as marked_project:
        yield marked_project


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"word": "of another store"}, "does not see {0.mark.parent} of {0.host}: keep {0.folder} on a file system"),
        ({"folder": Path("elsewhere")}, "keep elsewhere on"),
        ({"versions": {"python": "1.0"}}, " has python {1}, {0.host} 1.0: install requirements.lock on both."),
    ],
)
def test_what_a_machine_lacks_is_its_problem(change: dict[str, Any], problem: str, project: Project) -> None:
    assert problem.format(project, platform.python_version()) in problem_here(replace(project, **change))


def test_the_mark_goes_when_the_runs_have_ended(tmp_path: Path) -> None:
    with marked(tmp_path) as project:
        assert problem_here(project) == ""
    assert not list(tmp_path.iterdir())
    assert "does not see" in problem_here(project)


@pytest.mark.parametrize("change", ["another byte", "another name", "another file"])
def test_other_code_is_noticed(change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "models" / "more"
    package.mkdir(parents=True)
    (package / "a.py").write_text("a = 1\n")
    (package / "b.yaml").write_text("a: 1\n")
    monkeypatch.setattr(ray_cluster, "EXPERIMENTS", tmp_path / "experiments")
    with marked(tmp_path / "runs") as project:
        (package / "notes.txt").write_text("no code\n")
        assert problem_here(project) == ""
        if change == "another byte":
            (package / "b.yaml").write_text("a: 2\n")
        elif change == "another name":
            (package / "a.py").rename(package / "aa.py")
        else:
            (package / "c.py").write_text("")
        assert f"has other code in {tmp_path} than" in problem_here(project)


def test_a_cluster_without_cpus_takes_no_runs(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    with mistake("no machine of the Ray cluster offers a CPU", capsys):
        check(None, project, [])


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            "No way\nTraceback\nModuleNotFoundError: No module named 'experiments'",
            "vm has no project in {} .*experiments",
        ),
        ("killed\nfor want of memory", "vm does not take part: RayError: killed"),
    ],
)
def test_a_machine_that_cannot_answer_is_named(
    error: str, says: str, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_ray()

    class Fails:
        """Stands for Ray, and for a task of it, on a machine where none comes to its end."""

        exceptions = installed().exceptions

        def remote(self, *_: object, **__: object) -> "Fails":
            return self

        def __call__(self, task: object) -> "Fails":
            return self

        def options(self, scheduling_strategy: object) -> "Fails":
            return self

        def get(self, answer: object) -> str:
            raise self.exceptions.RayError(error)

    with mistake(says.format(project.folder), capsys):
        check(Fails(), project, [Machine("vm", "0" * 56, 1, 0)])
