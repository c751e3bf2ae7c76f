"""The report from end to end: right numbers, nothing hidden, nothing executed, nothing overwritten in error."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from analysis.page.blocks import Section, Table
from analysis.page.look import COLOURS
from analysis.report import build, main
from analysis.store import KEY, read_store
from experiments.record.archives import main as archive
from tests.support.fakes.long_range import axis_rows, write_long_range, write_pairs, write_task
from tests.support.fakes.runs import failure, folder_of, write_json, write_run, write_suite
from tests.support.fuzz.analysis import empty_pictures, prepare_long_range, prepare_speed, prepare_translations
from tests.support.html_page import Page


class Report(NamedTuple):
    """A suite in `path`/runs and its report in `folder`; `markdown` is the page and its appendix."""

    path: Path
    folder: Path
    html: str
    markdown: str


def report(path: Path, suite: str = "quick", *options: str) -> Report:
    main(["--suite", suite, "--runs", str(path / "runs"), "--results", str(path / "results"), *options])
    folder = path / "results" / suite
    html, *markdown = (
        (folder / f"{name}").read_text(encoding="utf-8") for name in ("report.html", "report.md", "appendix.md")
    )
    return Report(path, folder, html, "".join(markdown))


def built(path: Path, suite: str = "quick") -> tuple[str, dict[str, Section]]:
    """The answers and the sections by identifier, without any file."""
    page = build(read_store(path / "runs", suite))
    return page.summary, {section.identifier: section for section in page.sections}


def recorded(folder: Path, metric: str, x: Any) -> float:
    rows = json.loads((folder / "result.json").read_text())["measurements"]
    return next(r["value"] for r in rows if r["metric"] == metric and r["x"] == x)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Translation, two long-range tasks, and a task that nobody knows."""
    path = tmp_path_factory.mktemp("whole")
    write_suite(path / "runs", sentences=30)
    for task in ("copy", "recall"):
        write_task(path / "runs", task)
    write_pairs(path / "runs")
    write_long_range(path / "runs", "a-new-task", "lstm", axis_rows({4: 0.5}, "depth"))
    return report(path, "quick", "--png")


def test_numbers_of_the_runs_are_in_both_reports(whole: Report) -> None:
    for model in ("lstm", "bahdanau", "transformer"):
        for test_set in ("test2016", "test2017"):
            score = f"{recorded(folder_of(whole.path / 'runs', model), 'bleu', test_set):.1f}"
            assert f">{score}</td>" in whole.html
            assert f"| {score} |" in whole.markdown


def test_page_is_one_file_well_formed_and_accessible(whole: Report) -> None:
    page = Page(whole.html)
    assert page.count("h1") == 1
    assert page.count("caption") == page.count("table") > 10
    assert all(a.get("scope") in ("col", "row") for tag, a in page.tags if tag == "th")
    assert page.count("link") == page.count("iframe") == 0
    assert page.count("figure") == page.count("figcaption")
    links = {a["href"] for tag, a in page.tags if tag == "a"}
    assert "#figure-token_accuracy-copy-length" in links
    assert "#figure-gradient_reach-recall-distance-at-initialisation" in links


def test_five_screens_come_first_then_the_appendix_by_question(whole: Report) -> None:
    page = Page(whole.html)
    order = ["answers", "sees", "claims", "scoreboard", "method", "results", "learning", "differences", "translations"]
    order += ["attention", "task-copy", "task-recall", "task-a-new-task", "memory", "tuning", "equal", "runs"]
    assert [a["id"] for tag, a in page.tags if tag == "section" and a["id"] in order] == order
    groups = [a["id"] for tag, a in page.tags if tag == "details" and a.get("class") == "group"]
    assert groups == ["appendix-Translation", "appendix-Long-range", "appendix-Runs"]
    assert "LSTM: no attention, one vector holds the whole source." in page.text
    legend = whole.html.split('<dl class="legend">')[1].split("</dl>")[0]
    assert legend.count("<dt>") == 5
    assert all(colour in legend for colour in COLOURS.values())


def test_the_first_screen_answers_with_the_recorded_numbers(whole: Report) -> None:
    screen = whole.html.split('<section id="answers"')[1].split("</section>")[0]
    said = Page(screen.split(">", 1)[1]).text
    transformer, attention = (
        recorded(folder_of(whole.path / "runs", m), "bleu", "test2016") for m in ("transformer", "bahdanau")
    )
    assert f"{transformer:.1f} against {attention:.1f} BLEU" in said
    assert "On copy at length 32" in said
    assert "No answer: the suite quick has no speed runs." in said
    assert screen.count("<svg") == 2


def test_every_figure_is_a_file_and_every_table_whole(whole: Report) -> None:
    figures = set(re.findall(r"\]\(figures/([^)]+)\.svg\)", whole.markdown))
    assert len(figures) > 20
    files = {path.name for path in (whole.folder / "figures").iterdir()}
    assert files == {f"{name}.{kind}" for name in figures for kind in ("svg", "png")}
    for block in re.findall(r"(?:^\|.*\n)+", whole.markdown, flags=re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    tables = whole.html.count("<table") + whole.html.count('<p class="claim heads"')
    assert (whole.folder / "tables.tex").read_text().count(r"\begin{longtable}") == tables


def test_csv_holds_every_measurement(whole: Report) -> None:
    with (whole.folder / "measurements.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    written = [json.loads(p.read_text())["measurements"] for p in (whole.path / "runs").rglob("result.json")]
    assert len(rows) == sum(map(len, written))
    assert set(rows[0]) == {*KEY, "metric", "x_name", "x", "value", "unit", "n"}


def test_sections_name_the_runs_behind_them(whole: Report) -> None:
    _, sections = built(whole.path)
    (listed,) = (block for block in sections["runs"].blocks if isinstance(block, Table))
    names = {row[0]: row[1] for row in listed.rows}
    behind = {name: {names[number] for number in section.sources} for name, section in sections.items()}
    systems = {"LSTM", "LSTM + attention", "Transformer"}
    assert {name.rpartition(", ")[2] for name in behind["results"]} == systems
    assert {name.split(", ")[1] for name in behind["task-copy"]} == {"copy"}
    assert behind["memory"] > behind["task-copy"]
    section = whole.html.split('<section id="results"')[1].split("</section>")[0]
    assert len(re.findall(r'<a href="#R\d+">', section)) == 3


def test_unfinished_runs_are_named_and_in_no_number(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_suite(runs, seeds=(0, 1), sentences=10, test_sets=("test",))
    (folder_of(runs, "lstm", seed=1) / "result.json").unlink()
    (folder_of(runs, "bahdanau", seed=1) / "result.json").write_text("{")
    broken = folder_of(runs, "transformer", seed=1)
    (broken / "result.json").unlink()
    write_json(broken / "failure.json", failure("quick", "transformer", "base", 1, "loss is <NaN>"))
    write_run(runs, "mamba", sentences=10, test_sets=("test",))
    with empty_pictures():
        found = report(tmp_path)
    shown = Page(found.html).text
    assert "Of 8 runs these are in no number here: 1 unreadable, 1 interrupted, 1 failed and 1 not run." in shown
    assert "transformer/base/seed1: failed with 'loss is <NaN>' (log: runs/log.txt)" in shown
    assert "lstm/base/seed1: interrupted" in shown
    assert "mamba/base/seed1: missing" in shown
    assert "bahdanau/base/seed1/result.json cannot be read" in shown
    assert found.markdown.count("⚠") == 3
    assert found.html.count("class=flagged") == 3


@pytest.mark.parametrize(
    ("experiment", "answer"),
    [
        ("colour", "the suite quick has no speed runs."),
        ("bleu", "no translation run has finished yet."),
        ("speed", "no speed run has finished yet."),
        ("long-range", "no long-range run has finished yet."),
    ],
)
def test_a_suite_without_a_finished_run_still_reports(tmp_path: Path, experiment: str, answer: str) -> None:
    (tmp_path / "runs" / "quick" / experiment / "forward" / "lstm" / "base" / "seed0").mkdir(parents=True)
    found, sections = built(tmp_path)
    assert f"No answer: {answer}" in found
    assert f"{experiment}/forward/lstm/base/seed0: interrupted" in str(sections["runs"].blocks)
    assert ("results" in sections) == (experiment == "bleu")
    report(tmp_path)


def test_smoke_says_that_its_numbers_mean_nothing(tmp_path: Path) -> None:
    write_suite(tmp_path / "runs", suite="smoke", sentences=4, test_sets=("test",))
    _, sections = built(tmp_path, "smoke")
    assert "no meaningful numbers" in str(next(iter(sections.values())).blocks[0])


def test_without_baseline_attention_or_curves_the_rest_is_reported(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs", "mamba", sentences=10, test_sets=("test",))
    (folder / "attention.json").write_text("[]")
    (folder / "metrics.jsonl").unlink()
    summary, sections = built(tmp_path)
    assert summary.startswith("BLEU: mamba ")
    assert not {"attention", "sees"} & set(sections)
    assert "metrics.jsonl is not there" in str(sections["runs"].blocks)


def test_no_runs_is_an_error_that_overwrites_nothing(tmp_path: Path) -> None:
    old = tmp_path / "results" / "quick" / "report.html"
    old.parent.mkdir(parents=True)
    old.write_text("precious")
    with pytest.raises(SystemExit, match="holds no runs") as error:
        report(tmp_path)
    assert "\n" not in str(error.value)
    assert old.read_text() == "precious"
    assert list(old.parent.iterdir()) == [old]


def test_running_again_changes_nothing_and_leaves_nothing_else_behind(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "bahdanau", sentences=8, test_sets=("test",))
    first = report(tmp_path)
    before = {path.name for path in (first.folder / "figures").iterdir()}
    (first.folder / "figures" / "attention-of-a-sentence-no-longer-chosen.svg").write_text("<svg/>")
    assert report(tmp_path) == first
    assert {path.name for path in (first.folder / "figures").iterdir()} == before
    assert all(name.endswith(".svg") for name in before)  # PNG only on demand
    names = {path.name for path in first.folder.iterdir()}
    files = "report.html report.md appendix.md tables.tex measurements.csv provenance.json figures"
    assert names == {*files.split()}


def test_archived_records_give_the_report_of_the_runs_file_for_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for prepare in (prepare_translations, prepare_long_range, prepare_speed):
        prepare(tmp_path)
    runs = tmp_path / "runs"
    failed = write_run(runs, "gru", sentences=6, test_sets=("test",))
    (failed / "result.json").unlink()
    write_json(failed / "failure.json", failure("quick", "gru", "base", 0, "out of memory"))
    (folder_of(runs, "transformer") / "hypotheses" / "test.jsonl").write_text("{")  # a problem names its path
    folder_of(runs, "rnn").mkdir(parents=True)
    with empty_pictures():
        folder = report(tmp_path).folder
    archive(["--suite", "quick", "--runs", str(runs), "--results", str(tmp_path / "clone")])
    shutil.rmtree(runs)
    capsys.readouterr()
    with empty_pictures():
        main(["--suite", "quick", "--runs", str(runs), "--results", str(tmp_path / "clone")])
    assert re.match(r"(\d+) of \1 runs are records of .*/quick/records\n", capsys.readouterr().out)
    found, again = (
        {
            path.relative_to(root): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and "xz" not in path.name
        }
        for root in (folder, tmp_path / "clone" / "quick")
    )
    assert found == again
