import ast
import inspect
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from experiments.launch import ray_cluster
from experiments.launch import ray_runs as ray_launch
from experiments.launch.ray_cluster import (
    SETTINGS,
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
    ("there", "jobs", "takes"),
    [
        (machines((16, 0)), 1, 16),  # the whole machine
        (machines((16, 0)), 8, 2),
        (machines((16, 0), (4, 0)), 1, 4),  # as many threads wherever it goes
        (machines((2, 0)), 8, 1),
    ],
)
def test_without_gpus_a_run_takes_its_share_of_the_smallest_machine(
    there: list[Machine], jobs: int, takes: int
) -> None:
    assert request("auto", 1, there, jobs) == Request(takes, 0)


@pytest.mark.parametrize(
    ("there", "devices", "jobs", "takes"),
    [
        (machines((16, 4)), 1, 1, Request(4, 1)),  # a run for each GPU, though one at once was asked for
        (machines((16, 4)), 2, 1, Request(8, 2)),
        (machines((16, 4)), 4, 1, Request(16, 4)),
        (machines((16, 2)), 1, 8, Request(2, 0.25)),  # small runs share
        (machines((64, 0), (16, 4)), 1, 1, Request(4, 1)),  # a machine without GPUs gets none of these runs
        (machines((16, 1), (16, 4)), 4, 1, Request(16, 4)),
    ],
)
def test_a_run_takes_its_gpus_and_its_share_of_the_cores_beside_them(
    there: list[Machine], devices: int, jobs: int, takes: Request
) -> None:
    assert request("auto", devices, there, jobs) == request("gpu", devices, there, jobs) == takes


def test_a_run_on_the_cpu_takes_no_gpu() -> None:
    assert request("cpu", 1, machines((16, 4)), 2) == Request(8, 0)


@pytest.mark.parametrize("there", [machines((16, 2), (16, 1)), machines((16, 0))])
def test_a_run_that_fits_no_machine_is_refused(there: list[Machine], capsys: pytest.CaptureFixture[str]) -> None:
    with mistake(r"a run takes 4 GPUs .* more than [02]: ask for fewer", capsys):
        request("gpu", 4, there, 1)


def test_runs_of_several_gpus_share_none(capsys: pytest.CaptureFixture[str]) -> None:
    with mistake(r"3 runs at once \(JOBS\) of 2 GPUs each .* with 4: JOBS=2 do", capsys):
        request("gpu", 2, machines((16, 4)), 3)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1:1", "refused"),
        ("ray://127.0.0.1:10001", "not host:port"),
        ("nonsense", "not host:port"),
    ],
)
@pytest.mark.parametrize("given", ["argument", "environment"])
def test_an_address_where_no_cluster_is_is_refused_at_once(
    address: str, why: str, given: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Left to itself Ray tries for minutes; and it would not do to start a cluster elsewhere than the user said."""
    needs_ray()
    monkeypatch.setenv("RAY_ADDRESS", address if given == "environment" else "127.0.0.1:9")
    with (
        mistake(rf"RAY={address} is no Ray cluster .*{why}.*ray start", capsys),
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


@pytest.mark.parametrize("module", [ray_cluster, ray_launch])
def test_ray_is_imported_by_nobody_before_it_was_told_to_be_quiet(module: ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module))
    assert not [
        node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) and "ray" in names(node)
    ]
    assert SETTINGS["RAY_USAGE_STATS_ENABLED"] == "0"


def names(node: ast.Import | ast.ImportFrom) -> list[str]:
    """The packages that a statement imports."""
    modules = [each.name for each in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return [module.split(".")[0] for module in modules]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with marked(tmp_path / "runs") as marked_project:
        yield marked_project


def test_a_machine_with_all_of_it_has_no_problem(project: Project) -> None:
    assert problem_here(project) == ""


def test_a_machine_with_another_run_store_of_the_same_name_does_not_see_this_one(project: Project) -> None:
    problem = problem_here(replace(project, word="of another store"))
    assert f"does not see {project.mark.parent} of {project.host}: keep {project.folder} on a file system" in problem


def test_a_machine_must_see_the_folder_that_paths_are_relative_to(project: Project, tmp_path: Path) -> None:
    assert f"keep {tmp_path / 'elsewhere'} on" in problem_here(replace(project, folder=tmp_path / "elsewhere"))


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
    monkeypatch.setattr(ray_cluster, "HERE", tmp_path / "experiments")
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


def test_another_version_of_a_package_is_named(project: Project) -> None:
    problem = problem_here(replace(project, versions={**project.versions, "torch": "1.0"}))
    assert f" has torch {project.versions['torch']}, {project.host} 1.0: install requirements.lock on both." in problem


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
