import ast
import inspect
import sys
from types import ModuleType

import pytest

from experiments.launch import ray_cluster
from experiments.launch import ray_runs as ray_launch
from experiments.launch.ray_cluster import SETTINGS, Machine, Request, connected, request
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
