"""What the documents say exists: paths, links, targets, variables, commands, versions."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from experiments.planning.grid import plan_bleu, plan_tasks
from experiments.planning.parser import build_parser
from tests.support.readme import PAGES, ROOT, fences, files_to_write

DOCUMENTS = [*PAGES, ROOT / "CHANGELOG.md"]
# What commands make or the reader brings; all else that looks like a path must be there.
NOT_IN_A_CHECKOUT = ("runs/", "results/", "data/", ".venv/", "../corpora", "corpus/")
NAMES_OF_NO_FILE = ("result.json", "wide.yaml", "lstm/wide.yaml")  # one in each run's folder, one as an example
WRITTEN = {"mine", "bag", "sorting"}  # by the reader: a suite, a model and a task that other tests run
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MALICIOUS = {"lightning": ("2.6.2", "2.6.3"), "pytorch-lightning": ("2.6.2", "2.6.3")}


def visible(document: Path) -> str:
    return re.sub(r"<!--.*?-->", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)


def prose(document: Path) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", visible(document), flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def inline_code(document: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(document))


def commands() -> list[str]:
    """Every shell command, continued lines joined, comments dropped."""
    blocks = [block.replace("\\\n", " ") for block in fences("sh")]
    lines = [line.split("  #")[0].split(" # ")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line] + [code for d in DOCUMENTS for code in inline_code(d) if " " in code]


def mentioned_paths(document: Path) -> Iterator[str]:
    for code in inline_code(document):
        if re.fullmatch(r"\.{0,2}[\w-][\w./-]*", code) and (
            "/" in code or re.search(r"\.(py|ya?ml|md|toml|lock|cff)$", code)
        ):
            yield code


def lock() -> dict[str, Version]:
    files = ("requirements.lock", "requirements-ray.lock")
    lines = [line for name in files for line in (ROOT / name).read_text().splitlines() if line[:1] not in ("#", "-")]
    pins = [line.partition("==")[::2] for line in lines if line]
    return {name.lower().replace("_", "-"): Version(version) for name, version in pins}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_every_path_named_is_there(document: Path) -> None:
    paths = set(mentioned_paths(document))
    assert document.name != "README.md" or "models/" in paths  # else nothing was looked for
    for path in paths:
        if not path.startswith(NOT_IN_A_CHECKOUT) and path not in NAMES_OF_NO_FILE:
            known = (ROOT / path).exists() if "/" in path else any(ROOT.glob(f"experiments/**/{path}"))
            assert known, path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_links_resolve(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        path, _, anchor = target.partition("#")
        if not target.startswith("https://"):
            file = document.parent / path if path else document
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


def test_the_readme_is_a_page_that_begins_with_commands_and_leads_to_every_other() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    assert "```sh" in lines[:25]
    linked = re.findall(r"\]\((docs/[\w-]+\.md)", "\n".join(lines))
    assert {ROOT / path for path in linked} == {*PAGES[1:]}


def test_make_commands_name_targets_and_variables_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) [?:]=", makefile, re.MULTILINE))
    calls = [shlex.split(command)[1:] for command in commands() if command.startswith("make ")]
    assert len(calls) > 10
    for words in calls:
        for word in words:
            name, equals, _ = word.partition("=")
            assert name in (variables if equals else targets), words


def test_the_runs_that_make_commands_ask_for_exist() -> None:
    asked = 0
    for command in commands():
        words = shlex.split(command) if re.match(r"make (bleu|long-range|language)\b", command) else []
        given = dict(word.partition("=")[::2] for word in words if "=" in word)
        suite, tasks, models = (
            given.get("SUITE", "quick"),
            given.get("TASKS", "").split(),
            given.get("MODELS", "").split(),
        )
        if not words or WRITTEN & {suite, *tasks, *models}:
            continue
        if words[1] == "bleu":
            assert list(plan_bleu(suite, models, [], given.get("DIRECTION", ""), "runs", [])), command
        else:
            assert list(plan_tasks(words[1], suite, tasks, models, [], "runs", [])), command
        asked += 1
    assert asked > 8


def test_modules_and_options_of_python_commands_exist() -> None:
    calls = [shlex.split(command) for command in commands() if re.search(r" -m (experiments|analysis)\.", command)]
    assert {words[words.index("-m") + 1] for words in calls} > {"experiments.run", "analysis.report"}
    for words in calls:
        place = words.index("-m")
        module, given = find_spec(words[place + 1]), words[place + 2 :]
        assert module, words
        if words[place + 1] != "experiments.run":
            code = Path(str(module.origin)).read_text()
            assert all(re.search(rf"\b{w[2:]}: |\"{w}\"", code) for w in given if w.startswith("--")), words
        elif given and "--help" not in given:
            build_parser().parse_args(given)


def test_files_that_a_reader_is_asked_to_write_are_not_there_yet() -> None:
    assert len(files_to_write()) == 7
    for path in files_to_write():
        assert not (ROOT / path).exists(), path


@pytest.mark.parametrize(
    "pattern", ["*.md", "docs/*.md", "*.toml", "*.cff", "Makefile", ".ci/run", "experiments/**/*.yaml"]
)
def test_no_document_or_setting_names_a_place_on_one_machine(pattern: str) -> None:
    files = list(ROOT.glob(pattern))
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.:/~-])/(home|work|root|tmp|mnt|Users|opt|srv)\b", text), file
        assert not re.search(r"\b[A-Z]:\\", text), file


def test_the_lock_file_satisfies_the_ranges() -> None:
    pins = lock()
    extras = PYPROJECT["project"]["optional-dependencies"]
    requirements = map(Requirement, [*PYPROJECT["project"]["dependencies"], *(r for e in extras.values() for r in e)])
    for requirement in requirements:
        name = requirement.name.lower().replace("_", "-")
        assert name in pins, f"{name} is locked nowhere"
        assert requirement.specifier.contains(pins[name]), f"{requirement} but {pins[name]} is locked"


def test_malicious_releases_can_neither_be_resolved_nor_locked() -> None:
    lightning = next(r for r in map(Requirement, PYPROJECT["project"]["dependencies"]) if r.name == "lightning")
    for name, versions in MALICIOUS.items():
        assert str(lock()[name]) not in versions
        assert not any(lightning.specifier.contains(version) for version in versions)


def test_every_dependency_has_an_upper_bound() -> None:
    for requirement in map(Requirement, PYPROJECT["project"]["dependencies"]):
        assert any(s.operator in ("<", "==") for s in requirement.specifier), requirement


def test_version_citation_and_licence_agree() -> None:
    project, citation = PYPROJECT["project"], yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"message", "title", "authors", "license"} <= set(citation)
    assert (citation["cff-version"], citation["version"]) == ("1.2.0", project["version"])
    assert all({"type", "title", "authors", "year"} <= set(reference) for reference in citation["references"])
    assert re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == project["version"]
    assert project["license"] == "MIT"
