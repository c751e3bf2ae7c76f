"""One side of a comparison: the same numbers from runs, report and table, and a clear refusal of everything else."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.compare.sides import Place, Side, machine_name, read_pair, read_side
from analysis.provenance import as_json
from analysis.store import axis_text, read_store
from experiments.record.archives import write_archives
from tests.support.fakes.runs import write_run, write_suite

HEADER = "experiment,task,model,variant,seed,metric,x_name,x,value,unit,n"
ROW = "bleu,multi30k,lstm,base,0,bleu,test_set,test2016,20.5,BLEU,1000"


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def one(tmp_path: Path, *lines: str) -> Side:
    return read_side("A", table(tmp_path / "a.csv", *lines))


def test_runs_and_their_report_hold_the_same_numbers(tmp_path: Path) -> None:
    write_suite(tmp_path / "runs", seeds=(0, 1), sentences=10)
    store, folder = read_store(tmp_path / "runs", "quick"), tmp_path / "results" / "quick"
    folder.mkdir(parents=True)
    store.measurements.to_csv(folder / "measurements.csv", index=False)
    (folder / "provenance.json").write_text(as_json(store), encoding="utf-8")
    runs = read_side("A", tmp_path / "runs" / "quick")
    report = read_side("B", folder)
    assert runs.places.keys() == report.places.keys()
    for place, seeds in runs.places.items():
        assert {s: n.value for s, n in seeds.items()} == {s: n.value for s, n in report.places[place].items()}
    assert (runs.machines, runs.commits, runs.suite) == (report.machines, report.commits, report.suite)
    assert {n.machine for n in report.numbers} == {n.machine for n in runs.numbers} != {""}
    assert {n.commit for n in report.numbers} == {n.commit for n in runs.numbers} != {""}


def test_a_report_is_read_from_its_records_where_it_has_some(tmp_path: Path) -> None:
    write_suite(tmp_path / "runs", sentences=10)
    runs = read_side("A", tmp_path / "runs" / "quick")
    folder = table(tmp_path / "measurements.csv", HEADER, ROW).parent
    write_archives(tmp_path / "runs", "quick", folder / "records")
    side = read_side("B", folder)
    assert (side.kind, side.suite, list(side.numbers)) == ("records", "quick", list(runs.numbers))
    assert side.store is not None
    assert side.store.translations(side.store.runs[0], "test2016") is not None


def test_a_report_without_provenance_is_of_unknown_origin(tmp_path: Path) -> None:
    table(tmp_path / "measurements.csv", HEADER, ROW)
    side = read_side("A", tmp_path)
    assert (list(side.machines), list(side.commits), side.suite) == ([], [], tmp_path.name)
    assert side.numbers[0].machine == side.numbers[0].commit == ""


@pytest.mark.parametrize(
    ("origin", "machine", "commit"),
    [
        ({"machines": ["one"], "commits": ["abc"]}, "one", "abc"),
        ({"machines": ["one", "two"], "commits": ["abc", "def"]}, "", ""),
        ({"machines": ["one"], "commits": ["abc"], "uncommitted_changes": True}, "one", ""),
        ({"machines": ["one"], "commits": ["abc", "None"]}, "one", ""),
        ({"machines": ["one"], "commits": ["None"]}, "one", ""),
    ],
)
def test_origin_of_a_number_is_known_only_if_there_was_one(
    tmp_path: Path, origin: dict[str, object], machine: str, commit: str
) -> None:
    table(tmp_path / "measurements.csv", HEADER, ROW)
    (tmp_path / "provenance.json").write_text(json.dumps(origin | {"suite": "full"}), encoding="utf-8")
    side = read_side("A", tmp_path)
    assert (side.numbers[0].machine, side.numbers[0].commit, side.suite) == (machine, commit, "full")
    assert "None" not in side.commits


def test_runs_with_uncommitted_changes_have_no_known_commit(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", changes={"git": {"commit": "f" * 40, "dirty": True}})
    write_run(tmp_path, "transformer")
    commits = {n.place.model: n.commit for n in read_side("A", tmp_path / "quick").numbers}
    assert commits["lstm"] == ""
    assert commits["transformer"].startswith("1f2e3d4c")


def test_threads_make_no_other_machine() -> None:
    machine = {"cpu": "c", "cores": 2, "threads": 1, "memory_gib": 8, "gpus": [], "platform": "Linux"}
    assert machine_name(machine) == machine_name(machine | {"threads": 2}) == "c, 2 cores, 8 GiB, no GPU, Linux"
    assert machine_name(machine | {"gpus": ["H200"]}) != machine_name(machine)


@given(st.one_of(st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False)))
def test_an_axis_value_reads_the_same_from_json_and_csv(x: float) -> None:
    assert axis_text(x) == axis_text(str(x)) == axis_text(float(x))


def test_a_table_needs_three_columns_only(tmp_path: Path) -> None:
    side = one(tmp_path, "model,metric,value", "lstm,bleu,20.5", "", "transformer,bleu,")
    assert side.kind == "table"
    assert [(n.place.model, n.place.variant, n.seed) for n in side.numbers] == [
        ("lstm", "base", 0),
        ("transformer", "base", 0),
    ]
    assert side.numbers[0].value == 20.5
    assert side.numbers[1].value != side.numbers[1].value  # empty: not measured


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], r"has no column model and no column metric and no column value \(its columns: none\)"),
        (["model,score", "lstm,1"], r"has no column metric and no column value \(its columns: model, score\)"),
        (["model,metric,value", ",bleu,1"], "line 2 names no model"),
        (["model,metric,value", "lstm,,1"], "line 2 names no metric"),
        (["model,metric,value", "lstm,bleu,high"], "line 2: value is 'high', not a number"),
        (["model,metric,value,seed", "lstm,bleu,1,0", "lstm,bleu,1,x"], "line 3: seed is 'x', not a whole number"),
        (
            ["model,metric,value", "lstm,bleu,1", "lstm,bleu,2"],
            r"lines 2 and 3: two values of lstm: bleu, seed 0; keep one",
        ),
    ],
)
def test_a_wrong_table_is_refused_by_line(tmp_path: Path, lines: list[str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        one(tmp_path, *lines)


def test_what_is_no_result_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "absent"):
        with pytest.raises(FileNotFoundError, match=r"neither a folder with a report's measurements\.csv"):
            read_side("B", path)


def test_a_side_is_not_compared_with_itself(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", HEADER, ROW)
    with pytest.raises(ValueError, match="A and B are both"):
        read_pair(path, tmp_path / "." / "a.csv")


def test_columns_a_table_leaves_out_come_from_the_other_side(tmp_path: Path) -> None:
    report = table(tmp_path / "a.csv", HEADER, ROW)
    paper = table(tmp_path / "b.csv", "model,metric,value,system,source", "lstm,bleu,21,theirs,A paper", "gru,bleu,1,,")
    a, b = read_pair(report, paper)
    assert set(a.places) & set(b.places) == {Place("bleu", "multi30k", "lstm", "base", "bleu", "test_set", "test2016")}
    assert b.numbers[0].source == "theirs, A paper"
    assert b.numbers[1].place.experiment == ""  # nothing of the other side fits
    turned = read_pair(paper, report)
    assert turned[0].places.keys() == b.places.keys()


def test_a_row_that_fits_two_places_is_refused(tmp_path: Path) -> None:
    report = table(tmp_path / "a.csv", HEADER, ROW, ROW.replace("test2016", "test2017"))
    paper = table(tmp_path / "b.csv", "task,model,metric,value", "multi30k,lstm,bleu,21")
    with pytest.raises(
        ValueError, match=r"line 2: bleu of lstm fits 2 places of .*; add the columns experiment, x_name, x"
    ):
        read_pair(report, paper)
