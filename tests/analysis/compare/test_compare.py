"""The comparison from end to end: right numbers in all three files, origins respected, nothing dropped."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from analysis.compare.__main__ import main
from analysis.compare.figure import along
from analysis.compare.page import NAMED_ONE_BY_ONE, names
from analysis.compare.sides import Place, read_pair
from tests.support.fakes.long_range import FALLING, FLAT, axis_rows, write_long_range
from tests.support.fakes.runs import PROVENANCE, failure, folder_of, result, row, write_json, write_run, write_suite
from tests.support.html_page import Page

OTHER_MACHINE = PROVENANCE["machine"] | {"cpu": "another CPU", "cores": 64}

Rows = list[dict[str, str]]
Two = tuple[Path, str, str, Rows]


def page(tmp_path: Path, a: str, b: str) -> tuple[str, str, Rows]:
    main(["--a", str(tmp_path / a), "--b", str(tmp_path / b), "--to", str(tmp_path / "out")])
    folder = tmp_path / "out"
    with (folder / "compare.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return (folder / "compare.html").read_text(), (folder / "compare.md").read_text(), rows


def suite(tmp_path: Path, name: str, **settings: Any) -> None:
    """Translation and one long-range task."""
    write_suite(tmp_path / name, **settings)
    for model, curve in (("lstm", FALLING), ("transformer", FLAT)):
        for seed in (0, 1):
            write_long_range(tmp_path / name, "copy", model, axis_rows(curve, "length"), seed=seed)


def bleu(rows: Rows, model: str = "lstm") -> dict[str, str]:
    return next(r for r in rows if (r["metric"], r["model"], r["x"]) == ("bleu", model, "test2016"))


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Two:
    """Two machines and two commits; B translates better, lacks a model, and has a task of its own."""
    path = tmp_path_factory.mktemp("two")
    suite(path, "a")
    origin = {"machine": OTHER_MACHINE, "git": {"commit": "e" * 40, "dirty": False}}
    for model in ("lstm", "transformer"):
        write_run(path / "b", model, error=0.05, changes=origin)
    write_long_range(path / "b", "copy", "lstm", axis_rows(FALLING, "length"))
    write_long_range(path / "b", "reverse", "lstm", axis_rows(FALLING, "length"))
    write_json(folder_of(path / "b", "bahdanau") / "failure.json", failure("quick", "bahdanau", "base", 0, "x"))
    return (path, *page(path, "a/quick", "b/quick"))


def test_numbers_are_those_of_both_sides(two: Two) -> None:
    path, html, text, rows = two
    found = bleu(rows)
    for side in "ab":
        record = json.loads((folder_of(path / side, "lstm") / "result.json").read_text())
        value = next(r["value"] for r in record["measurements"] if (r["metric"], r["x"]) == ("bleu", "test2016"))
        assert float(found[side]) == pytest.approx(value)
        assert f">{value:.2f}</td>" in html
        assert f"| {value:.2f} |" in text
    assert float(found["difference"]) == pytest.approx(float(found["b"]) - float(found["a"]))
    assert float(found["low"]) > 0
    assert found["interval"] == "paired bootstrap over sentences"


def test_times_of_two_machines_are_divided_but_not_subtracted(two: Two) -> None:
    _, html, _, rows = two
    found = next(r for r in rows if r["metric"] == "target_tokens_per_second" and r["in"] == "both")
    assert (found["difference"], found["interval"]) == ("", "refused: two machines")
    assert float(found["ratio"]) == 1
    assert "Two machines: " in html
    assert "refused: two machines" in html
    assert "another CPU, 64 cores" in html


def test_what_one_side_lacks_is_named_and_in_the_csv(two: Two) -> None:
    path, html, text, rows = two
    a, b = read_pair(path / "a" / "quick", path / "b" / "quick")
    assert {tuple(r[c] for c in Place._fields) for r in rows} == {tuple(p) for p in a.places.keys() | b.places.keys()}
    assert len(rows) == len(a.places.keys() | b.places.keys())
    assert {r["model"] for r in rows if r["in"] == "A alone" and r["experiment"] == "bleu"} == {"bahdanau"}
    assert {r["task"] for r in rows if r["in"] == "B alone"} == {"reverse"}
    assert "bleu, multi30k: LSTM + attention: " in Page(html).text
    assert "long-range, reverse: LSTM: " in text
    assert "bleu/multi30k/bahdanau/base/seed0: failed" in Page(html).text


def test_page_is_one_file_with_figures_and_no_links_outside(two: Two) -> None:
    path, html, text, _ = two
    assert Page(html).count("script") == 0
    figures = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert len(figures) == 2  # translation, copy
    assert all((path / "out" / figure).is_file() for figure in figures)
    assert "B − A of bleu. LSTM, test2016: " in html


def test_sides_of_unlike_seeds_say_what_an_interval_needs(two: Two) -> None:
    rows = two[3]
    found = [r for r in rows if r["metric"] == "control_accuracy" and r["in"] == "both"]
    assert {(r["seeds_a"], r["seeds_b"], r["interval"]) for r in found} == {("2", "1", "none: 2 and 1 seeds")}
    shares = [r for r in rows if r["metric"] == "exact_match" and r["in"] == "both"]
    assert {r["interval"] for r in shares} == {"Newcombe, over test examples"}


def test_the_same_results_again_are_equal(tmp_path: Path) -> None:
    for side in "ab":
        suite(tmp_path, side, sentences=20)
    html, _, rows = page(tmp_path, "a/quick", "b/quick")
    assert all(float(r["difference"]) == 0 for r in rows)
    count = len(rows)
    assert f"{count} numbers are in both, {count} equal to the last digit" in html
    assert "In A alone: 0, in B alone: 0." in html
    assert "Everything in B is in both." in html
    assert "Same commit and same machine" not in html
    assert "excludes 0</td>" not in html


def test_one_commit_and_machine_with_two_outcomes_is_reported(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "lstm", sentences=20, error=0.2)
    write_run(tmp_path / "b", "lstm", sentences=20, error=0.5)
    html, text, rows = page(tmp_path, "a/quick", "b/quick")
    differ = [r for r in rows if float(r["difference"]) != 0 and r["unit"] not in ("s", "tokens/s")]
    assert f"Same commit and same machine, yet {len(differ)} of " in html
    assert "Same commit and same machine" in text


def test_a_table_stands_beside_a_report_with_its_source(tmp_path: Path) -> None:
    suite(tmp_path, "a")
    lines = [
        "task,model,metric,x_name,x,value,source",
        "multi30k,lstm,bleu,test_set,test2016,77,A paper <b>",
        "multi30k,lstm,bleu,test_set,test2018,66,Another",
    ]
    (tmp_path / "paper.csv").write_text("\n".join(lines), encoding="utf-8")
    html, _, rows = page(tmp_path, "a/quick", "paper.csv")
    found = bleu(rows)
    assert (found["b"], found["source"], found["interval"]) == ("77.0", "A paper <b>", "none: one seed each")
    assert ">A paper &lt;b&gt;</td>" in html
    assert "In B alone: 1 number" in html
    assert "multi30k, lstm: bleu at test_set test2018" in html
    assert "unknown" in html


def test_times_against_a_table_are_neither_subtracted_nor_divided(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "lstm", sentences=20)
    (tmp_path / "b.csv").write_text("model,metric,value\nlstm,target_tokens_per_second,8000\n", encoding="utf-8")
    html, _, rows = page(tmp_path, "a/quick", "b.csv")
    found = next(r for r in rows if r["in"] == "both")
    assert (found["difference"], found["ratio"], found["interval"]) == ("", "", "refused: machine unknown")
    assert "Machine unknown: 1 time or rate is shown side by side" in html
    assert "<figure" not in html


def test_two_tables_of_unknown_models_and_odd_names(tmp_path: Path) -> None:
    header = "experiment,task,model,metric,value,unit"
    for side, value in (("a", 1), ("b", 3)):
        text = f"{header}\nmy exp,$x$ <i>,mamba,loss,{value},nats\n,,mamba,loss,{value},\n"
        (tmp_path / f"{side}.csv").write_text(text, encoding="utf-8")
    html, _, _ = page(tmp_path, "a.csv", "b.csv")
    assert "$x$ <i>" in Page(html).text
    assert "Numbers of no named experiment" in html
    assert ">+2</td>" in html


def test_metrics_not_shown_row_by_row_are_summed_up(tmp_path: Path) -> None:
    for side, norm in (("a", 1.0), ("b", 1.5)):
        record = result(
            "quick", "lstm", "base", 0, [row("gradient_reach", norm, "norm", 1, "distance", d) for d in (1, 2)]
        )
        write_json(
            tmp_path / side / "quick/long-range/copy/lstm/base/seed0/result.json",
            record | {"experiment": "long-range", "task": "copy"},
        )
    html, _, _ = page(tmp_path, "a/quick", "b/quick")
    text = re.sub(r"\s+", " ", Page(html).text)
    assert "gradient reach 2 0 0 +0.5 copy, LSTM, distance 1" in text


@pytest.mark.parametrize(
    ("a", "b", "complaint"),
    [
        ("", "x.csv", "Two results are needed"),
        ("absent", "x.csv", "A is .*absent, which is neither"),
        ("x.csv", "bad.csv", "has no column metric"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(tmp_path: Path, a: str, b: str, complaint: str) -> None:
    (tmp_path / "x.csv").write_text("model,metric,value\nlstm,bleu,1\n", encoding="utf-8")
    (tmp_path / "bad.csv").write_text("model,value\nlstm,1\n", encoding="utf-8")
    paths = [str(tmp_path / name) if name else "" for name in (a, b)]
    with pytest.raises(SystemExit, match=complaint) as error:
        main(["--a", paths[0], "--b", paths[1], "--to", str(tmp_path / "out")])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_many_names_are_grouped_without_losing_one() -> None:
    places = [
        Place("bleu", "t", model, "base", "bleu", "x", str(x))
        for model in ("lstm", "gru")
        for x in range(NAMED_ONE_BY_ONE)
    ]
    assert names(places) == [f"bleu, t: GRU and LSTM: bleu ({NAMED_ONE_BY_ONE})"]
    assert len(names(places[:NAMED_ONE_BY_ONE])) == NAMED_ONE_BY_ONE


def test_nothing_in_common_is_said_and_what_each_has_is_a_mean_over_its_seeds(tmp_path: Path) -> None:
    for side, rows_of_side in (("a", "lstm,loss,0,1\nlstm,loss,1,2"), ("b", "gru,loss,0,5")):
        (tmp_path / f"{side}.csv").write_text(f"model,metric,seed,value\n{rows_of_side}\n", encoding="utf-8")
    html, _, rows = page(tmp_path, "a.csv", "b.csv")
    assert "No number is in both: " in html
    found = [(r["in"], r["a"], r["seeds_a"], r["b"], r["seeds_b"]) for r in rows]
    assert found == [("A alone", "1.5", "2", "", ""), ("B alone", "", "", "5.0", "1")]


def test_axes_are_in_order() -> None:
    assert sorted(["16", "0.5", "test10", "8", "-1", "0.25", "test9", ""], key=along) == [
        *("-1", "0.25", "0.5", "8", "16", "", "test9", "test10")
    ]
