import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.record.read import read_result
from experiments.tracking import publish as mirror
from experiments.tracking.publish import attention, curves, model_is_wanted, numbers, picture, translations
from tests.support.fakes import long_range as fake_long_range
from tests.support.fakes import runs as fake_runs
from tests.support.fakes import speed as fake_speed


def record(experiment: str, rows: list[dict[str, Any]], task: str = "t") -> dict[str, Any]:
    return {"experiment": experiment, "task": task, "measurements": rows}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Finished runs of every experiment."""
    root = tmp_path_factory.mktemp("runs")
    fake_runs.write_run(root, "transformer")
    for task in ("copy", "recall", "agreement"):
        fake_long_range.write_task(root, task)
    fake_speed.write_everything(root, bleu=False)
    return [file.parent for file in sorted(root.glob("**/result.json"))]


def test_every_measurement_has_a_name_of_its_own_and_its_very_value(folders: list[Path]) -> None:
    for folder in folders:
        one = read_result(folder)
        assert list(numbers(one).values()) == [m["value"] for m in one["measurements"]]


@pytest.mark.parametrize(
    ("experiment", "row", "expected"),
    [
        ("bleu", ("bleu", "test_set", "test2016"), "test/bleu/test_set/test2016"),
        ("bleu", ("bleu_by_length", "source words, test2016", 6), "test/bleu_by_length/source words, test2016/6"),
        ("bleu", ("val_bleu", "", None), "val/val_bleu"),
        ("long-range", ("steps", "", None), "train/steps"),
        ("long-range", ("token_accuracy", "gap, symbols 4", 128), "recall/t/token_accuracy/gap, symbols 4/128"),
        ("speed", ("step_seconds", "length", 512), "speed/t/step_seconds/length/512"),
        ("inspection", ("head_entropy", "cross layer 1", 2), "inspection/t/head_entropy/cross layer 1/2"),
    ],
)
def test_the_section_tells_the_question(experiment: str, row: tuple[str, str, Any], expected: str) -> None:
    metric, x_name, x = row
    one = record(experiment, [fake_runs.row(metric, 0.1, "", 1, x_name, x)])
    assert numbers(one) == {expected: 0.1}


def test_a_metric_measured_at_several_numbers_is_a_curve_and_nothing_else_is() -> None:
    at = [
        fake_runs.row("token_accuracy", 0.5, "share", 7, "gap", 8),
        fake_runs.row("token_accuracy", 0.9, "share", 9, "gap", 2),
        fake_runs.row("exact_match", 1.0, "share", 7, "gap", 8),
    ]
    companions = ("token_accuracy_error", "chance: guessing", "trained")
    at += [fake_runs.row(metric, 0.1, "share", 7, "gap", x) for metric in companions for x in (2, 8)]
    at += [fake_runs.row("bleu", 1.0, "BLEU", 7, "test_set", name) for name in ("one", "two")]
    assert curves(record("long-range", at)) == {"recall/t/token_accuracy/gap": [[2, 0.9, 9], [8, 0.5, 7]]}


def test_a_curve_is_named_as_its_numbers_are(folders: list[Path]) -> None:
    for one in map(read_result, folders):
        values = numbers(one)
        for name, points in curves(one).items():
            assert [values[f"{name}/{x}"] for x, _, _ in points] == [value for _, value, _ in points]


def test_the_first_translations_of_every_test_set_are_read_as_they_were_written(tmp_path: Path) -> None:
    row = {"source": "a\u2028b", "reference": "r", "hypothesis": "h", "score": -1.0, "log_prob": -2.0}
    row |= {"source_tokens": 3, "truncated": False}
    count = mirror.TRANSLATION_ROWS + 5
    lines = [json.dumps({"id": i, **row}, ensure_ascii=False) + "\n" for i in range(count)]
    for test_set, text in (("b", lines), ("a", lines[:2])):
        path = tmp_path / "hypotheses" / f"{test_set}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(text), encoding="utf-8")
    found = translations(tmp_path)
    assert found[:2] == [["a", i, "a\u2028b", "r", "h", -1.0] for i in range(2)]
    assert [one[:2] for one in found[2:]] == [["b", i] for i in range(mirror.TRANSLATION_ROWS)]
    assert translations(tmp_path / "elsewhere") == []


def test_a_picture_shows_where_the_weight_is() -> None:
    """A weight of 1 is black, one of 0 white, and heads are averaged."""
    looked_at = [[1.0, 0.0], [0.0, 1.0]]
    source, target = ["a", "$x$"], ["b", "</s>"]
    image = picture(source, target, {"one": [looked_at], "two": [looked_at] * 2})
    assert image.dtype == np.uint8
    assert image.shape[2] == 4
    single = picture(source, target, {"one": [looked_at]})
    assert image.shape[1] > single.shape[1]
    even = picture(source, target, {"one": [[[0.0, 0.0], [0.0, 0.0]]]})
    assert (single[..., :3].sum(-1) == 0).sum() > (even[..., :3].sum(-1) == 0).sum()


def test_maps_of_self_attention_are_not_drawn_as_if_they_were_of_the_source(tmp_path: Path) -> None:
    cross = [[[0.5, 0.5]] * 3]
    maps = {"encoder layer 1": [[[0.5, 0.5]] * 2], "cross layer 1": cross, "decoder layer 1": [[[1.0, 0.0, 0.0]] * 3]}
    one = {"test_set": "t", "id": 3, "source_tokens": ["a", "b"], "target_tokens": ["c", "d", "e"], "maps": maps}
    (tmp_path / "attention.json").write_text(json.dumps([one, {**one, "id": 4, "maps": {}}]))
    (image,) = attention(tmp_path)
    assert image._caption == "t, sentence 3"


def test_maps_of_what_a_language_model_wrote_before_are_drawn(tmp_path: Path) -> None:
    maps = {"decoder layer 1": [[[1.0, 0.0], [0.5, 0.5]]]}
    one = {"test_set": "test", "id": 0, "source_tokens": [], "target_tokens": ["a", "b"], "maps": maps}
    (tmp_path / "attention.json").write_text(json.dumps([one]))
    (image,) = attention(tmp_path)
    assert image._caption == "test, sentence 0"


@pytest.mark.parametrize(
    ("word", "known"), [("红", False), ("猫が", False), ("고양이", False), ("Straße", True), ("کتاب", True)]
)
def test_a_picture_says_that_no_font_has_its_characters(
    word: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(mirror, "FONTS", set())  # whatever this machine has
    monkeypatch.setattr(mirror.Figure, "suptitle", lambda self, text, **_: said.append(text))
    picture([word, "b"], ["c", "d"], {"one": [[[0.5, 0.5], [0.5, 0.5]]]})
    assert len(said) == (not known)


def test_pictures_of_one_run_have_one_size() -> None:
    image = np.zeros((2, 3, 4), dtype=np.uint8)
    larger = mirror.padded(image, 4, 5)
    assert larger.shape == (4, 5, 4)
    assert (larger[:2, :3] == 0).all()
    assert (larger[2:] == 255).all()
    assert (larger[:, 3:] == 255).all()


def test_models_without_attention_have_no_pictures(tmp_path: Path) -> None:
    assert attention(fake_runs.write_run(tmp_path, "lstm")) == []
    assert len(attention(fake_runs.write_run(tmp_path, "transformer"))) == 5
    assert attention(tmp_path) == []


def test_checkpoints_are_uploaded_on_request_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_LOG_MODEL", raising=False)
    assert not model_is_wanted()
    for asked, wanted in (("", False), ("false", False), ("true", True)):
        monkeypatch.setenv("WANDB_LOG_MODEL", asked)
        assert model_is_wanted() is wanted
    monkeypatch.setenv("WANDB_LOG_MODEL", "best")
    with pytest.raises(ValueError, match="WANDB_LOG_MODEL is 'best'; choose true or false"):
        model_is_wanted()
