from pathlib import Path

import pytest
import torch

from experiments.training.decode import bleu, translate_split
from experiments.training.trained_run import load_module
from experiments.translation.experiment import ATTENTION_SENTENCES, evenly_spaced
from tests.experiments.translation.conftest import MODELS
from tests.support.tiny_runs import read_json, read_lines, tiny_key

CPU = torch.device("cpu")


@pytest.fixture(params=MODELS)
def folder(request: pytest.FixtureRequest, trained: Path) -> Path:
    return tiny_key(trained, request.param).folder


def measured(folder: Path, metric: str, x: str | None = None) -> float:
    (value,) = (
        row["value"]
        for row in read_json(folder / "result.json")["measurements"]
        if row["metric"] == metric and row["x"] == x
    )
    return float(value)


def test_hypotheses_are_those_of_the_chosen_checkpoint(folder: Path) -> None:
    module, data, decoding = load_module(folder)
    for test_set in data.test_sets:
        again = translate_split(module.network, data, test_set, decoding, CPU)
        rows = read_lines(folder / "hypotheses" / f"{test_set}.jsonl")
        assert [row["hypothesis"] for row in rows] == [t.hypothesis for t in again]
        for name in ("log_prob", "score"):
            assert [row[name] for row in rows] == pytest.approx([getattr(t, name) for t in again], abs=1e-4)
        references = [row["reference"] for row in rows]
        assert measured(folder, "bleu", test_set) == bleu([t.hypothesis for t in again], references, "de")
        assert measured(folder, "truncated_share", test_set) == sum(t.truncated for t in again) / len(again)


def test_validation_bleu_is_measured_with_averaged_and_with_raw_weights(folder: Path) -> None:
    module, data, decoding = load_module(folder)
    checkpoint = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)
    references = data.text("val").target
    for metric, state in (("val_bleu", "state_dict"), ("val_bleu_unaveraged", "current_model_state")):
        module.load_state_dict(checkpoint[state])
        found = translate_split(module.network, data, "val", decoding, CPU)
        assert measured(folder, metric) == bleu([t.hypothesis for t in found], references, "de")


def test_sizes_are_counted_once_however_often_weights_are_shared(folder: Path) -> None:
    module, data, _ = load_module(folder)
    state = {value.data_ptr(): value.numel() for value in module.parameters()}
    assert measured(folder, "parameters") == sum(state.values())
    embedded = measured(folder, "parameters") - measured(folder, "parameters_without_embeddings")
    assert embedded == 32 * len(data.source_tokenizer)  # source, target and output share one table


def test_attention_has_a_row_for_each_target_token_and_sums_to_1(folder: Path) -> None:
    records = read_json(folder / "attention.json")
    _, data, _ = load_module(folder)
    assert len(records) == ATTENTION_SENTENCES
    lengths = [len(record["source_tokens"]) for record in records]
    assert lengths == sorted(lengths)
    for record in records:
        assert record["test_set"] == data.test_sets[0]
        assert record["source_tokens"][-1] == record["target_tokens"][-1] == "</s>"
        source = data.text(record["test_set"]).source[record["id"]]
        assert "".join(record["source_tokens"][:-1]).replace("▁", " ").strip() == source
        assert bool(record["maps"]) == ("transformer" in folder.parts)
        for heads in record["maps"].values():
            for matrix in heads:
                assert len(matrix) == len(record["target_tokens"])
                for row in matrix:
                    assert len(row) == len(record["source_tokens"])
                    assert sum(row) == pytest.approx(1, abs=1e-3)


def test_sentences_are_chosen_by_length_alone() -> None:
    assert evenly_spaced([9, 1, 5, 5, 3, 7], 3) == [4, 3, 0]  # of 1 3 5 5 7 9
    assert evenly_spaced([4] * 12, 6) == [1, 3, 5, 7, 9, 11]
    assert evenly_spaced([2, 1], 6) == [1, 0]


def test_settings_that_are_equal_for_all_models_are_recorded(folder: Path) -> None:
    recorded = read_json(folder / "result.json")["held_equal"]
    assert recorded["steps"] == 6
    assert recorded["tokens per batch"] == 60
    assert recorded["precision"] == "32-true"
    assert recorded["weight averaging"] == "exponential, decay 0.98"
    assert recorded["beam size"] == 2
    assert recorded["checkpoint chosen by"] == "val/bleu"
    assert all(isinstance(value, str | int | float) for value in recorded.values())
