from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.launch import ray_project
from experiments.launch.ray_cluster import Machine, installed
from experiments.launch.ray_project import Project, check, marked, problem_here
from tests.support.ray_runs import mistake, needs_ray


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
    monkeypatch.setattr(ray_project, "HERE", tmp_path / "experiments")
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
