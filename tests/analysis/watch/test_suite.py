import json
import os
from pathlib import Path

import pytest

from analysis.watch.suite import GRACE, PATIENCE, SCAN, Run, Suite, final_number, last_line
from tests.support.fakes.runs import row
from tests.support.fakes.watched import NOW, begin, fail, finish, folder_of, iso, metric, plan, training, write


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "quick"


def looked(folder: Path, since: float | None = None, now: float = NOW) -> Run:
    run = Run(folder)
    run.look(since, now)
    return run


def seen(suite: Path, now: float = NOW) -> Suite:
    found = Suite(suite)
    found.look(now)
    return found


def statuses(suite: Suite) -> dict[str, str]:
    return {run.system: run.status for run in suite.runs.values()}


# One run


def test_a_run_goes_from_waiting_to_running_to_finished(suite: Path) -> None:
    folder = folder_of(suite, "lstm-heads8", seed=3)
    run = looked(folder, NOW - 100)
    assert (run.experiment, run.task, run.system, run.seed) == ("long-range", "recall", "lstm-heads8", "3")
    assert run.status == "waiting"
    begin(folder, NOW - 90)
    run.look(NOW - 100, NOW)
    assert (run.status, run.begun, run.max_steps, run.history.step) == ("running", NOW - 90, 1000, 0)
    write(folder / "metrics.jsonl", training(range(20, 260, 20)), NOW - 10)
    run.look(NOW - 100, NOW)
    assert (run.status, run.heard, run.history.step, run.share) == ("running", NOW - 10, 240, 0.24)
    finish(folder, NOW - 5, seconds=85)
    run.look(NOW - 100, NOW)
    assert (run.status, run.ended, run.duration, run.said) == ("finished", NOW - 5, 85, "BLEU 12.35 on test2016")


def test_a_run_whose_process_has_only_begun_is_running(suite: Path) -> None:
    folder = folder_of(suite, "lstm")
    write(folder.with_name("log-seed0.txt"), "", NOW - 3)
    run = looked(folder, NOW - 100)
    assert (run.status, run.begun) == ("running", NOW - 3)


def test_what_an_earlier_suite_left_behind_is_still_to_do(suite: Path) -> None:
    """A suite carries out what it did not find finished, whatever older files say."""
    folder = folder_of(suite, "lstm")
    begin(folder, NOW - 500, training([20]))
    assert looked(folder, NOW - 100).status == "waiting"
    fail(folder, NOW - 400)
    assert looked(folder, NOW - 100).status == "waiting"
    assert looked(folder, NOW - 450).status == "failed"
    finish(folder, NOW - 300)
    assert looked(folder, NOW - 100).status == "waiting"  # of another configuration
    assert looked(folder, 0.0).status == looked(folder).status == "finished"


def test_a_failure_is_told_by_its_last_line_and_ends_with_the_next_attempt(suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 50)
    fail(folder, NOW - 40, "RuntimeError: out of\n  memory \x1b[31m at 0x1\n\n")
    run = looked(folder)
    assert (run.status, run.said) == ("failed", "memory  [31m at 0x1")
    assert run.told_in == str(folder.with_name("log-seed0.txt"))
    begin(folder, NOW - 30)
    run.look(None, NOW)
    assert run.status == "running"
    fail(folder, NOW - 20, "KeyError: 'x'")
    run.look(None, NOW)
    assert (run.status, run.said) == ("failed", "KeyError: 'x'")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"measurements": 3}', '{"measurements": [{}]}'])
def test_a_result_that_cannot_be_read_is_named_until_it_changes(text: str, suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 50)
    path = write(folder / "result.json", text, NOW - 40)
    run = looked(folder)
    assert run.status == "unreadable"
    assert str(path) in run.said
    finish(folder, NOW - 30)
    run.look(None, NOW)
    assert run.status == "finished"


def test_a_value_that_is_no_number_makes_a_result_unreadable(suite: Path) -> None:
    folder = folder_of(suite, "lstm")
    record = finish(folder, NOW - 40)
    record["measurements"][0]["value"] = "high"
    write(folder / "result.json", json.dumps(record), NOW - 30)
    assert looked(folder).status == "unreadable"


def test_a_result_is_read_once(suite: Path) -> None:
    folder = folder_of(suite, "lstm")
    finish(folder, NOW - 40)
    run = looked(folder)
    write(folder / "result.json", "broken", NOW - 40)
    run.look(None, NOW)
    assert run.status == "finished"
    write(folder / "result.json", "broken", NOW - 39)
    run.look(None, NOW)
    assert run.status == "unreadable"


def test_a_run_says_itself_that_it_was_interrupted(suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 50, training([20]), NOW - 31)
    log = write(folder.with_name("log-seed0.txt"), f"step 20\ninterrupted; it goes on from {folder}\n", NOW - 30)
    run = looked(folder, NOW - 60)
    assert run.status == "interrupted"
    begin(folder, NOW - 20)  # the next process has not said anything yet
    run.look(NOW - 60, NOW)
    assert run.status == "running"
    write(log, log.read_text() + "step 40\n", NOW - 10)
    run.look(NOW - 60, NOW)
    assert run.status == "running"


def test_nobody_waits_for_a_silent_run_that_no_suite_planned(suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - PATIENCE - 1)
    assert looked(folder, None).status == "interrupted"
    assert looked(folder, NOW - PATIENCE - 2).status == "running"
    assert looked(folder, None, NOW - 2).status == "running"


def test_metrics_are_followed_and_begin_anew_when_they_were_rewritten(suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 50, training([20, 40, 60]), NOW - 40)
    run = looked(folder)
    write(folder / "metrics.jsonl", training([20, 40]), NOW - 30)  # resumed from a checkpoint
    run.look(None, NOW)
    assert run.history.curves["train/loss"] == [(20, 5.0), (40, 2.5)]
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(metric("train/loss", 60, 1.0) + "not a line\n" + metric("train/loss", 80, 0.5)[:-9])
    os.utime(folder / "metrics.jsonl", (NOW - 20, NOW - 20))
    run.look(None, NOW)
    assert run.history.curves["train/loss"][2:] == [(60, 1.0)]
    assert run.history.unreadable == 1


@pytest.mark.parametrize("config", ["", "trainer: 3", "trainer:\n  max_steps: many", "{", "trainer: {}"])
def test_without_a_known_number_of_steps_there_is_no_share(config: str, suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 50, training([20]))
    write(folder / "config.yaml", config, NOW - 50)
    run = looked(folder)
    assert (run.status, run.max_steps, run.share) == ("running", 0, 0.0)


def test_a_run_deleted_while_it_goes_on_is_waited_for_again(suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 50, training([20]))
    run = looked(folder, NOW - 60)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    run.look(NOW - 60, NOW)
    assert run.status == "waiting"


def test_the_last_line_is_one_that_says_something() -> None:
    assert last_line("a\nb \n \n") == "b"
    assert last_line(" \n") == last_line("") == ""
    assert last_line("\x1b[2Jclear\tall") == " [2Jclear all"


# Main numbers


def test_translation_is_told_by_bleu_on_its_first_test_set() -> None:
    rows = [row("val_bleu", 50, "BLEU", 1), row("chrf", 60, "chrF", 1, "test_set", "test2016")]
    rows += [row("bleu", 19.918, "BLEU", 1, "test_set", x) for x in ("test2016", "test2017")]
    assert final_number(rows) == "BLEU 19.92 on test2016"


def test_long_range_is_told_at_the_largest_trained_value_of_its_first_axis() -> None:
    rows = []
    for axis, x, trained, value in [
        ("gap, symbols 4", 4, 1.0, 1.0),
        ("gap, symbols 4", 256, 1.0, 0.98765),
        ("gap, symbols 4", 512, 0.0, 0.25),
        ("symbols, gap 16", 1024, 1.0, 0.5),
    ]:
        rows += [row("token_accuracy", value, "share", 500, axis, x), row("trained", trained, "flag", 500, axis, x)]
    assert final_number(rows) == "token accuracy 0.988 at gap 256"
    assert final_number(rows[::-1]) == "token accuracy 0.500 at symbols 1024"


def test_speed_is_told_by_the_step_at_the_largest_length_or_the_first_loop() -> None:
    lengths = [row("step_seconds", x / 100, "s", 5, "length", x) for x in (16, 128, 64)]
    assert final_number(lengths) == "s/step 1.2800 at length 128"
    loops = [row("step_seconds", value, "s", 5, "loop", x) for x, value in (("trainer", 0.4688), ("bare", 0.4))]
    assert final_number(loops) == "s/step 0.4688 at loop trainer"


def test_contrastive_translation_is_told_over_all_pairs_and_others_by_nothing() -> None:
    rows = [row("contrastive_accuracy", 0.9859, "share", 1210, "all", "all")]
    rows.append(row("contrastive_accuracy", 0.95, "share", 20, "distance", 8))
    assert final_number(rows) == "contrastive accuracy 0.986"
    assert final_number([row("parameters", 3, "parameters", 1)]) == final_number([]) == ""
    assert final_number([row("bleu", 3, "BLEU", 1)]) == "BLEU 3.00"


# A suite


def test_planned_runs_count_before_they_begin_and_come_first(suite: Path) -> None:
    folders = [folder_of(suite, model) for model in ("transformer", "lstm", "gru")]
    plan(suite, folders, NOW - 100)
    finish(folders[1], NOW - 50)
    finish(folder_of(suite, "bahdanau"), NOW - 5000)
    found = seen(suite)
    assert list(statuses(found).items()) == [
        ("transformer", "waiting"),
        ("lstm", "finished"),
        ("gru", "waiting"),
        ("bahdanau", "finished"),
    ]
    assert [run.system for run in found.having("finished")] == ["lstm", "bahdanau"]
    assert found.problems == []


def test_finished_ones_that_a_suite_did_not_have_to_run_are_finished(suite: Path) -> None:
    folders = [folder_of(suite, model) for model in ("lstm", "gru")]
    for folder in folders:
        finish(folder, NOW - 5000)
    plan(suite, folders, NOW - 100, left=folders[1:])
    assert statuses(seen(suite)) == {"lstm": "finished", "gru": "waiting"}


def test_folders_that_are_no_runs_are_left_out(suite: Path) -> None:
    finish(folder_of(suite, "lstm"), NOW)
    for name in ("until-20260101-000000-seed0", "seed0.log", "seedling", "seed"):
        write(folder_of(suite, "lstm").with_name(name) / "result.json", "{}", NOW)
    assert len(seen(suite).runs) == 1


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        '{"runs": []}',
        {"started": "yesterday"},
        {"left": 3},
        {"runs": 3},
        {"runs": ["quick"]},
        {"runs": ["full/long-range/recall/lstm/base/seed0"]},
        {"runs": ["quick/long-range/recall/seed0"]},
    ],
)
def test_a_plan_that_cannot_be_read_is_named_and_the_others_count(record: str | dict[str, object], suite: Path) -> None:
    finish(folder_of(suite, "lstm"), NOW)
    plan(suite, [folder_of(suite, "gru")], NOW)
    whole = {"started": iso(NOW), "runs": ["quick/bleu/m/lstm/base/seed0"], "left": []}
    text = record if isinstance(record, str) else json.dumps(whole | record)
    path = write(suite / "planned-bleu.json", text, NOW)
    found = seen(suite)
    assert statuses(found) == {"gru": "waiting", "lstm": "finished"}
    (problem,) = found.problems
    assert str(path) in problem


def test_new_folders_and_plans_are_found_at_the_next_search(suite: Path) -> None:
    suite.mkdir(parents=True)
    found = seen(suite)
    assert found.runs == {}
    begin(folder_of(suite, "lstm"), NOW)
    found.look(NOW + SCAN - 1)
    assert found.runs == {}
    found.look(NOW + SCAN)
    assert statuses(found) == {"lstm": "running"}
    plan(suite, [folder_of(suite, "gru")], NOW)
    found.look(NOW + 2 * SCAN)
    assert statuses(found) == {"gru": "waiting", "lstm": "running"}


def test_a_running_run_is_followed_at_every_look(suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 5, training([20]))
    found = seen(suite)
    write(folder / "metrics.jsonl", training([20, 40]), NOW)
    found.look(NOW + 1)
    assert found.runs[folder].history.step == 40


def test_a_suite_deleted_while_it_is_watched_is_empty(suite: Path) -> None:
    folder = begin(folder_of(suite, "lstm"), NOW - 5, training([20]))
    found = seen(suite)
    suite.rename(suite.with_name("gone"))
    found.look(NOW + 1)
    assert found.runs[folder].status == "waiting"
    found.look(NOW + SCAN)
    assert found.runs == {}


# What is left


def test_time_left_is_what_runs_alike_took(suite: Path) -> None:
    folders = [folder_of(suite, "lstm", task, seed=seed) for seed in (0, 1) for task in ("recall", "copy")]
    plan(suite, folders, NOW - 1000)
    finish(folders[0], NOW - 500, seconds=100)
    finish(folders[1], NOW - 100, seconds=400)
    assert seen(suite).time_left(NOW) == pytest.approx(500)
    begin(folders[2], NOW - 30)  # nothing recorded yet
    assert seen(suite).time_left(NOW) == pytest.approx(70 + 400)
    write(folders[2] / "metrics.jsonl", training([600]), NOW)
    assert seen(suite).time_left(NOW) == pytest.approx(40 + 400)  # 600 of 1000 steps
    begin(folders[3], NOW - 30)
    assert seen(suite).time_left(NOW) == pytest.approx(370)  # side by side: the longest
    write(folders[2] / "metrics.jsonl", training([1000]), NOW)
    finish(folders[3], NOW)
    assert seen(suite).time_left(NOW) == pytest.approx(70)  # trained, and evaluated for as long as the other was
    finish(folders[2], NOW)
    assert seen(suite).time_left(NOW) == 0


def test_time_left_takes_the_likest_runs_there_are(suite: Path) -> None:
    finish(folder_of(suite, "lstm", "copy"), NOW, seconds=400)
    finish(folder_of(suite, "gru", "recall"), NOW, seconds=100)
    finish(folder_of(suite, "gru", "copy", "bleu"), NOW, seconds=9000)
    for system, task, expected in [("rnn", "copy", 400), ("lstm", "parity", 400), ("rnn", "parity", 250)]:
        plan(suite, [folder_of(suite, system, task)], NOW + 1)
        assert seen(suite).time_left(NOW) == pytest.approx(expected)


def test_before_anything_is_finished_the_running_ones_tell(suite: Path) -> None:
    folders = [folder_of(suite, model) for model in ("lstm", "gru")]
    plan(suite, folders, NOW - 1000)
    assert seen(suite).time_left(NOW) is None
    begin(folders[0], NOW - 30)
    assert seen(suite).time_left(NOW) is None
    write(folders[0] / "metrics.jsonl", training([250]), NOW)  # 25 s of training for a quarter
    assert seen(suite).time_left(NOW) == pytest.approx(75 + 100)


def test_a_suite_is_settled_when_what_was_planned_is_over_for_a_while(suite: Path) -> None:
    suite.mkdir(parents=True)
    assert not seen(suite, NOW + 1e6).settled(NOW + 1e6)  # empty: the first run is still to come
    folders = [folder_of(suite, model) for model in ("lstm", "gru")]
    plan(suite, folders, NOW - 1000)
    finish(folders[0], NOW - 100)
    assert not seen(suite).settled(NOW)
    begin(folders[1], NOW - 90)
    assert not seen(suite).settled(NOW)
    fail(folders[1], NOW)
    found = seen(suite)
    assert not found.settled(NOW + GRACE - 1)  # the next target of one make command may plan more
    assert found.settled(NOW + GRACE + 1)


def test_leftovers_that_nobody_planned_hold_nothing_up_but_running_ones_do(suite: Path) -> None:
    finish(folder_of(suite, "lstm"), NOW - 1000)
    begin(folder_of(suite, "gru"), NOW - 2 * PATIENCE)
    assert seen(suite).settled(NOW)
    begin(folder_of(suite, "rnn"), NOW - 10)
    assert not seen(suite).settled(NOW)


def test_an_interrupted_planned_run_is_waited_for(suite: Path) -> None:
    folders = [folder_of(suite, model) for model in ("lstm", "gru")]
    plan(suite, folders, NOW - 1000)
    finish(folders[0], NOW - 500)
    begin(folders[1], NOW - 400)
    write(folders[1].with_name("log-seed0.txt"), "interrupted; go on\n", NOW - 300)
    found = seen(suite)
    assert statuses(found) == {"lstm": "finished", "gru": "interrupted"}
    assert not found.settled(NOW)
