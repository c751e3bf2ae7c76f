"""The house of the project, on its syntax trees: who imports whom, no circles, no crowded folder, no long file."""

import ast
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("models", "datamodules", "experiments", "analysis")
QUESTIONS = ("translation", "long_range", "speed", "language")
GROUND = "experiments.record"
MOST_ENTRIES, MOST_LINES = 16, 350
HEAVY = ("torch", "lightning", "wandb", "numpy", "pandas")  # kept out of the ground floor


def modules(root: Path) -> dict[str, Path]:
    """Every module of the product by its dotted name."""
    files = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in files}


def imported(path: Path, known: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The line and the most precise module name of each import in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield node.lineno, inner if inner in known else module


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def forbidden(importer: str, name: str) -> str:
    """Why this import may not be, or an empty text."""
    side, top = importer.partition(".")[0], name.partition(".")[0]
    if top in ("", "tests"):
        return "imports are absolute, and the product needs no tests"
    if side == "experiments" and name == f"{GROUND}.archives":
        return "no training takes an archived record for a finished run"
    if side == "analysis" and top in ("torch", "lightning"):
        return "a report is made without torch"
    if within(importer, GROUND):
        if top in HEAVY or (top in PACKAGES and not within(name, GROUND)):
            return "the ground floor imports nothing of the project, and no torch"
    elif top in PACKAGES and top != side:
        if side in ("models", "datamodules"):
            return f"{side} imports nothing else of the project"
        if side == "analysis" and not within(name, GROUND):
            return f"analysis imports {GROUND} alone"
        if side == "experiments" and top == "analysis":
            return "experiments does not import analysis"
    mine = [q for q in QUESTIONS if within(importer, f"{side}.{q}")]
    others = [q for q in QUESTIONS if within(name, f"{side}.{q}")]
    if mine and others and mine != others:
        return f"{mine[0]} and {others[0]} are two questions"
    return ""


def violations(root: Path) -> list[str]:
    """What is wrong with the imports of a tree, a sentence each."""
    known, found, graph = modules(root), [], {}
    for importer, path in known.items():
        names = [*imported(path, known)]
        graph[importer] = {name for _, name in names if name in known and name != importer}
        for line, name in names:
            if why := forbidden(importer, name):
                found.append(f"{path.relative_to(root)}:{line} imports {name}: {why}")
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        found.append(f"a circle of imports: {' -> '.join(circle.args[1])}")
    return found


def crowded(root: Path) -> list[str]:
    folders = [root / top for top in (*PACKAGES, "tests")]
    folders += [path for top in list(folders) for path in top.rglob("*") if path.is_dir()]
    files = [path for top in folders[: len(PACKAGES) + 1] for path in top.rglob("*") if path.is_file()]
    present = {parent for path in files if path.suffix != ".pyc" for parent in (path, *path.parents)}
    counts = {folder: sum(path in present for path in folder.iterdir()) for folder in folders}
    return [
        f"{folder.relative_to(root)} has {count} entries" for folder, count in counts.items() if count > MOST_ENTRIES
    ]


def unwieldy(root: Path) -> list[str]:
    """Files of the product that are too long, or whose names repeat their folder's."""
    paths = modules(root).values()
    long = [path for path in paths if path.read_text(encoding="utf-8").count("\n") > MOST_LINES]
    return [
        str(path.relative_to(root))
        for path in [*long, *(p for p in paths if f"{p.stem}_".startswith(f"{p.parent.name}_"))]
    ]


def test_imports_run_one_way() -> None:
    assert violations(ROOT) == []


def test_no_folder_is_crowded_and_no_file_unwieldy() -> None:
    assert crowded(ROOT) == []
    assert unwieldy(ROOT) == []


def test_crowded_folders_and_unwieldy_files_are_found(tmp_path: Path) -> None:
    for top in (*PACKAGES, "tests"):
        (tmp_path / top).mkdir()
    for number in range(17):
        (tmp_path / "models" / f"{number}.py").write_text("\n" * (335 + number))
    (tmp_path / "analysis" / "analysis_of_runs.py").touch()
    assert crowded(tmp_path) == ["models has 17 entries"]
    assert unwieldy(tmp_path) == ["models/16.py", "analysis/analysis_of_runs.py"]


@pytest.mark.parametrize(
    ("importer", "planted"),
    [
        ("models/multi_head_attention.py", "import datamodules.batch"),
        ("datamodules/batch.py", "from experiments.record import keys"),
        ("experiments/record/keys.py", "from experiments import suite"),
        ("experiments/record/keys.py", "import torch"),
        ("experiments/suite.py", "from analysis import report"),
        ("experiments/suite.py", "from experiments.record import archives"),
        ("analysis/report.py", "from experiments import suite"),
        ("analysis/report.py", "def late():\n    from models import lstm"),
        ("analysis/speed/section.py", "from analysis.long_range import section"),
        ("experiments/translation/decode.py", "from experiments.speed import timing"),
        ("models/lstm.py", "from models import multi_head_attention"),  # which imports it back
        ("analysis/speed/section.py", "from ..long_range import section"),
        ("analysis/report.py", "import torch"),
        ("models/lstm.py", "from tests.support import readme"),
    ],
)
def test_a_planted_import_is_found(importer: str, planted: str, tmp_path: Path) -> None:
    sources = {
        "models/multi_head_attention.py": "import models.lstm",
        "models/lstm.py": "",
        "datamodules/batch.py": "",
        "experiments/record/keys.py": "",
        "experiments/record/archives.py": "",
        "experiments/suite.py": "from experiments.record import keys",
        "experiments/translation/decode.py": "import models.lstm\nimport datamodules.batch",
        "experiments/speed/timing.py": "",
        "analysis/report.py": "from experiments.record import keys",
        "analysis/speed/section.py": "",
        "analysis/long_range/section.py": "",
    }
    for name, text in sources.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert violations(tmp_path) == []
    with (tmp_path / importer).open("a") as file:
        file.write(f"\n{planted}\n")
    assert violations(tmp_path)
