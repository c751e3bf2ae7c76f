"""What every machine of a Ray cluster must have: project and run store under one path, the same code and packages."""

import hashlib
import importlib
import platform
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.launch.exit_codes import mistake
from experiments.launch.ray_cluster import Machine
from experiments.planning.grid import HERE
from experiments.provenance import versions
from experiments.record.write import write_atomically

CODE = ("datamodules", "experiments", "models")


@dataclass(frozen=True)
class Project:
    """What every machine must have.

    Args:
        host: Name of the machine that starts the runs.
        folder: Where it starts them.
        mark: A file in the run store, there for as long as the runs go on.
        word: Its content.
        code: Fingerprint of the code.
        versions: Of Python and the packages that numbers depend on.
    """

    host: str
    folder: Path
    mark: Path
    word: str
    code: str
    versions: Mapping[str, str]


def check(ray: Any, project: Project, machines: Sequence[Machine]) -> None:
    """Look at every machine before the first run begins.

    Raises:
        SystemExit: There is none, or one of them does not see the run store, or has other code or packages.
    """
    if not machines:
        raise mistake("no machine of the Ray cluster offers a CPU: add one with `ray start --address`.")
    affinity = importlib.import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
    look = ray.remote(num_cpus=0)(problem_here)
    answers = [
        look.options(scheduling_strategy=affinity(machine.node, soft=False)).remote(project) for machine in machines
    ]
    for machine, answer in zip(machines, answers, strict=True):
        try:
            problem = ray.get(answer)
        except ray.exceptions.RayError as error:
            lines = str(error).strip().split("\n")
            problem = f"{machine.name} does not take part: {type(error).__name__}: {lines[0]}"
            if "ModuleNotFoundError" in lines[-1]:
                problem = f"{machine.name} has no project in {project.folder} ({lines[-1]}): it must be there too."
        if problem:
            raise mistake(problem)


def problem_here(project: Project) -> str:
    """What keeps this machine from taking part, in a sentence; empty if nothing."""
    here = platform.node()
    if problem := store_here(project):
        return problem
    if fingerprint() != project.code:
        return f"{here} has other code in {HERE.parent} than {project.host}: bring them to the same commit."
    for name, version in versions().items():
        if version != (wanted := project.versions.get(name)):
            return f"{here} has {name} {version}, {project.host} {wanted}: install requirements.lock on both."
    return ""


def store_here(project: Project) -> str:
    """Like `problem_here`, of the run store alone."""
    try:
        word = project.mark.read_text(encoding="utf-8")
    except OSError:
        word = ""
    if word != project.word or not project.folder.is_dir():
        return (
            f"{platform.node()} does not see {project.mark.parent} of {project.host}: "
            f"keep {project.folder} on a file system that all machines have under the same path."
        )
    return ""


def fingerprint() -> str:
    """Of the code that runs here, and the configurations that come with it."""
    files = sorted(path for name in CODE for kind in ("py", "yaml") for path in (HERE.parent / name).rglob(f"*.{kind}"))
    each = (f"{path.relative_to(HERE.parent)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    return hashlib.sha256("\n".join(each).encode()).hexdigest()


@contextmanager
def marked(root: Path) -> Iterator[Project]:
    """Inside, the run store holds a file by which other machines show that they see it."""
    word = uuid.uuid4().hex
    mark = root.resolve() / f".ray-{word}"
    write_atomically(mark, word)
    try:
        yield Project(platform.node(), Path.cwd(), mark, word, fingerprint(), versions())
    finally:
        mark.unlink(missing_ok=True)
