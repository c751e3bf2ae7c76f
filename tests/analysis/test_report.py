"""The report from end to end: right numbers, nothing hidden, nothing executed, nothing overwritten in error."""

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from analysis import provenance as provenance_section
from analysis.report import build, main, markdown
from analysis.store import KEY, read_store
from analysis.translation.bleu import measure
from tests.support.fakes.long_range import axis_rows, write_long_range, write_pairs, write_task
from tests.support.fakes.runs import failure, folder_of, write_json, write_lines, write_run, write_suite

SCRIPT = '<script>alert("x")</script> | **bold** _it_ $1$'


class Page(HTMLParser):
    """Collects the tags, the links and the text of a page, and checks that it is well nested."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(t == tag for t, _ in self.tags)


def report(tmp_path: Path, suite: str = "quick") -> tuple[str, str]:
    main(["--suite", suite, "--runs", str(tmp_path / "runs"), "--results", str(tmp_path / "results")])
    folder = tmp_path / "results" / suite
    return (folder / "report.html").read_text(), (folder / "report.md").read_text()


def recorded(folder: Path, metric: str, x: Any) -> float:
    rows = json.loads((folder / "result.json").read_text())["measurements"]
    return next(r["value"] for r in rows if r["metric"] == metric and r["x"] == x)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The three models, one seed, one hypothesis that is an attack."""
    path = tmp_path_factory.mktemp("three")
    write_suite(path / "runs")
    hypotheses = folder_of(path / "runs", "transformer") / "hypotheses" / "test2016.jsonl"
    rows = [json.loads(line) for line in hypotheses.read_text().splitlines()]
    shortest = min(rows, key=lambda r: (len(r["source"].split()), r["id"]))
    shortest["hypothesis"] = SCRIPT
    write_lines(hypotheses, rows)
    return (path, *report(path))


def test_numbers_of_the_runs_stand_in_both_reports(three: tuple[Path, str, str]) -> None:
    path, html, text = three
    for model in ("lstm", "bahdanau", "transformer"):
        for test_set in ("test2016", "test2017"):
            score = f"{recorded(folder_of(path / 'runs', model), 'bleu', test_set):.1f}"
            assert f">{score}</td>" in html
            assert f"| {score} |" in text


def test_page_is_one_file_well_formed_and_accessible(three: tuple[Path, str, str]) -> None:
    page = Page(three[1])
    assert page.count("h1") == 1
    assert page.count("caption") == page.count("table") > 10
    assert all(a.get("scope") in ("col", "row") for tag, a in page.tags if tag == "th")
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = [a["href"] for tag, a in page.tags if tag == "a"]
    assert {f"#{i}" for i in ids} >= set(links)
    assert page.count("script") == page.count("link") == page.count("iframe") == 0
    assert not re.search(r'(?:src|href)="https?:|@import|url\("?http', three[1])
    assert page.count("figure") == page.count("figcaption")


def test_hypotheses_show_as_text(three: tuple[Path, str, str]) -> None:
    _, html, text = three
    assert SCRIPT in Page(html).text
    assert "<script>" not in html
    assert "<script>" not in text
    assert r"&lt;script&gt;alert(\"x\")&lt;/script&gt;".replace(r"\"", '"') + r" \| \*\*bold" in text


def test_a_score_that_its_hypotheses_contradict_is_named(three: tuple[Path, str, str]) -> None:
    _, html, text = three
    assert "stored hypotheses score" in html  # the attack replaced one hypothesis after scoring
    assert "stored hypotheses score" in text


def test_markdown_figures_and_tables_are_whole(three: tuple[Path, str, str]) -> None:
    path, _, text = three
    figures = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert len(set(figures)) == 2 + 6 + 4 * 2 + 4  # of differences three pairs and one length ratio
    assert all((path / "results" / "quick" / figure).is_file() for figure in figures)
    blocks = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    for block in blocks:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_csv_holds_every_measurement(three: tuple[Path, str, str]) -> None:
    path = three[0]
    with open(path / "results" / "quick" / "measurements.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    written = [json.loads(p.read_text())["measurements"] for p in (path / "runs").rglob("result.json")]
    assert len(rows) == sum(map(len, written))
    assert set(rows[0]) == {*KEY, "metric", "x_name", "x", "value", "unit", "n"}


def test_no_training_code_is_imported(three: tuple[Path, str, str], tmp_path: Path) -> None:
    code = (
        "import sys; from analysis.report import main; main(sys.argv[1:]);"
        "bad = {'torch', 'lightning', 'wandb', 'models', 'datamodules', 'experiments'} & set(sys.modules);"
        "sys.exit(f'imported: {bad}' if bad else 0)"
    )
    arguments = ["--suite", "quick", "--runs", str(three[0] / "runs"), "--results", str(tmp_path)]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_attention_is_compared_and_its_absence_said(three: tuple[Path, str, str]) -> None:
    page = Page(three[1])
    assert "LSTM: no attention, one vector holds the whole source." in page.text
    assert "Transformer: cross layer 10" in page.text  # the last layer by number, not by spelling


def test_several_seeds_are_listed_averaged_and_paired_at_the_first_common_one(tmp_path: Path) -> None:
    for model, seeds in (("lstm", (0, 1, 2)), ("transformer", (1, 2))):
        for seed in seeds:
            write_run(tmp_path / "runs", model, seed=seed, sentences=30, test_sets=("test",))
    store = read_store(tmp_path / "runs", "quick")
    result = measure(store)[0]
    lstm, transformer = result.outcomes.values()
    assert set(lstm.bleu) == {0, 1, 2}
    assert transformer.seed == 1
    assert transformer.comparison is not None
    scores = [recorded(folder_of(tmp_path / "runs", m, seed=1), "bleu", "test") for m in ("lstm", "transformer")]
    assert transformer.comparison.difference.value == pytest.approx(scores[1] - scores[0])
    _, text = report(tmp_path)
    assert "(seed 1)" in text
    assert f"| {lstm.mean:.1f} | " in text
    assert all(f"{value:.1f} ({seed})" in text for seed, value in lstm.bleu.items())


def test_different_sentences_are_never_compared(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "lstm", sentences=30, test_sets=("test",))
    write_run(tmp_path / "runs", "transformer", sentences=29, test_sets=("test",))
    store = read_store(tmp_path / "runs", "quick")
    assert all(outcome.comparison is None for outcome in measure(store)[0].outcomes.values())
    assert "cannot be compared" in report(tmp_path)[0]


def test_unfinished_runs_are_named_and_in_no_number(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_suite(runs, seeds=(0, 1), sentences=20, test_sets=("test",))
    (folder_of(runs, "lstm", seed=1) / "result.json").unlink()
    (folder_of(runs, "bahdanau", seed=1) / "result.json").write_text("{")
    broken = folder_of(runs, "transformer", seed=1)
    (broken / "result.json").unlink()
    write_json(broken / "failure.json", failure("quick", "transformer", "base", 1, "loss is <NaN>"))
    write_run(runs, "mamba", sentences=20, test_sets=("test",))
    html, text = report(tmp_path)
    shown = Page(html).text
    assert "4 of 8 runs are failed, interrupted, unreadable, copied or missing" in shown
    assert "transformer/base/seed1: failed with 'loss is <NaN>' (log: runs/log.txt)" in shown
    assert "lstm/base/seed1: interrupted" in shown
    assert "mamba/base/seed1: missing" in shown
    assert "bahdanau/base/seed1/result.json cannot be read" in shown
    assert text.count("⚠") == 3
    assert html.count("class=flagged") == 3


def provenance(tmp_path: Path) -> str:
    """All words of the provenance sections, as they go into both templates."""
    return str([section.blocks for section in provenance_section.build(read_store(tmp_path / "runs", "quick"))])


def test_what_differs_between_runs_is_flagged(tmp_path: Path) -> None:
    write_suite(tmp_path / "runs", seeds=(0, 1), sentences=10, test_sets=("test",))
    shown = provenance(tmp_path)
    assert "follows the seed, the same for every model: 0 (seed 0), 1 (seed 1)" in shown
    assert "differ" not in shown
    folder = folder_of(tmp_path / "runs", "lstm", seed=1)
    record = json.loads((folder / "result.json").read_text())
    record["held_equal"] |= {"steps": 1999}
    record["held_equal"].pop("beam size")
    record["git"] = {"commit": None, "dirty": True}
    record["machine"]["cpu"] = "another CPU"
    write_json(folder / "result.json", record)
    shown = provenance(tmp_path)
    assert "2 of 4 settings are not the same for all models" in shown
    assert "1999 (LSTM seed 1)" in shown
    assert "not recorded (LSTM seed 1)" in shown
    assert "The runs come from different machines" in shown
    assert "The runs come from different commits" in shown
    assert "uncommitted changes, so no commit holds their code: LSTM seed 1." in shown
    assert "another CPU" in shown


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """Translation and long-range runs in one suite."""
    path = tmp_path_factory.mktemp("both")
    write_run(path / "runs", "lstm", sentences=10, test_sets=("test",))
    for task in ("copy", "recall"):
        write_task(path / "runs", task)
    write_pairs(path / "runs")
    write_long_range(path / "runs", "a-new-task", "lstm", axis_rows({4: 0.5}, "depth"))
    return (path, *report(path))


def test_long_range_follows_translation_and_claims_follow_both(both: tuple[Path, str, str]) -> None:
    page = Page(both[1])
    order = ["scoreboard", "claims", "models", "results", "learning", "differences", "translations"]
    order += ["task-copy", "task-recall", "task-a-new-task", "memory", "tuning"]
    found = [a["id"] for tag, a in page.tags if tag == "section"]
    assert [identifier for identifier in found if identifier in order] == order
    assert "BLEU on multi30k test: LSTM" in page.text
    assert "Long range: on copy, accuracy stays at 0.9 or above to length 24" in page.text
    assert "Accuracy of a strategy that remembers nothing" in page.text


def test_links_to_figures_lead_somewhere(both: tuple[Path, str, str]) -> None:
    path, html, text = both
    page = Page(html)
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = [a["href"] for tag, a in page.tags if tag == "a"]
    assert {f"#{i}" for i in ids} >= set(links)
    assert "#figure-token_accuracy-copy-length" in links
    assert "#figure-gradient_reach-recall-distance-at-initialisation" in links
    images = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert all((path / "results" / "quick" / image).is_file() for image in images)


def test_every_claim_stands_in_both_reports_with_its_rule(both: tuple[Path, str, str]) -> None:
    _, html, text = both
    rule = "accuracy at the largest gap of training. Supported if the interval lies below 0.05; contradicted if it lies"
    assert rule in Page(html).text
    assert rule in text
    for words in ("A gap alone does not break the LSTM", "No model copies far beyond its training length"):
        assert Page(html).text.count(words) >= 2
        assert text.count(words) >= 2
    assert "64 (extrapolation)" in Page(html).text


def test_without_translation_runs_there_is_no_word_of_bleu_results(tmp_path: Path) -> None:
    write_long_range(tmp_path / "runs", "copy", "lstm", axis_rows({4: 1.0, 8: 0.5}, "length"))
    summary, sections = build(read_store(tmp_path / "runs", "quick"))
    assert summary.startswith("Long range: ")
    assert not {"results", "learning", "translations"} & {section.identifier for section in sections}


def test_a_suite_of_other_runs_says_what_it_holds(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "quick" / "colour" / "forward" / "lstm" / "base" / "seed0"
    folder.mkdir(parents=True)
    summary, _ = build(read_store(tmp_path / "runs", "quick"))
    assert summary == "The suite quick holds runs of colour only."


def test_smoke_says_that_its_numbers_mean_nothing(tmp_path: Path) -> None:
    write_suite(tmp_path / "runs", suite="smoke", sentences=4, test_sets=("test",))
    html, text = report(tmp_path, "smoke")
    assert "no meaningful numbers" in Page(html).text
    assert "no meaningful numbers" in text


def test_a_suite_without_a_finished_run_still_reports(tmp_path: Path) -> None:
    (write_run(tmp_path / "runs", "lstm", sentences=4) / "result.json").unlink()
    html, _ = report(tmp_path)
    assert "No translation run" in Page(html).text
    assert "bleu/multi30k/lstm/base/seed0: interrupted" in Page(html).text


def test_without_baseline_attention_or_curves_the_rest_is_reported(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs", "mamba", sentences=10, test_sets=("test",))
    (folder / "attention.json").write_text("[]")
    (folder / "metrics.jsonl").unlink()
    summary, sections = build(read_store(tmp_path / "runs", "quick"))
    assert summary.startswith("BLEU on multi30k test: mamba ")
    assert "attention" not in [s.identifier for s in sections]
    assert "metrics.jsonl is missing" in report(tmp_path)[0]


def test_no_runs_is_an_error_that_overwrites_nothing(tmp_path: Path) -> None:
    old = tmp_path / "results" / "quick" / "report.html"
    old.parent.mkdir(parents=True)
    old.write_text("precious")
    with pytest.raises(SystemExit, match="holds no runs") as error:
        report(tmp_path)
    assert "\n" not in str(error.value)
    assert old.read_text() == "precious"
    assert list(old.parent.iterdir()) == [old]


def test_figures_of_an_earlier_report_are_gone(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "bahdanau", sentences=8, test_sets=("test",))
    report(tmp_path)
    figures = tmp_path / "results" / "quick" / "figures"
    before = {path.name for path in figures.iterdir()}
    (figures / "attention-of-a-sentence-no-longer-chosen.svg").write_text("<svg/>")
    report(tmp_path)
    assert {path.name for path in figures.iterdir()} == before


def test_running_again_changes_nothing_and_leaves_no_temporary_files(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "bahdanau", sentences=8, test_sets=("test",))
    assert report(tmp_path) == report(tmp_path)
    names = {p.name for p in (tmp_path / "results" / "quick").iterdir()}
    assert names == {"report.html", "report.md", "tables.tex", "measurements.csv", "provenance.json", "figures"}


@pytest.mark.parametrize("text", ["a|b", "*a*", "_a_", "[x](y)", "<b>", "a\nb", "# a", "`a`", "$a$", "~~a~~"])
def test_markdown_escapes_what_would_be_markup(text: str) -> None:
    escaped = markdown(text)
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)[|*_\[\]`$~#<>]", escaped)
