"""Inspection of attention: measures against loops over single weights, what is kept, and what is recorded of a run."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from torch import Tensor

from experiments.launch.exit_codes import FAILED
from experiments.training.trained_run import load_module
from experiments.translation import attention_heads as inspection
from experiments.translation.attention_heads import head_values, main
from tests.experiments.translation.conftest import MODELS
from tests.support.tiny_runs import SIZES, read_json, read_lines, tiny_key

SELF = {"head_previous": -1, "head_same": 0, "head_next": 1}


def random_weights(heads: int, T: int, K: int, seed: int, causal: bool) -> Tensor:
    scores = 3 * torch.randn(heads, T, K, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    if causal:
        scores = scores.masked_fill(torch.ones(T, K, dtype=torch.bool).triu(1), -math.inf)
    return scores.softmax(-1)


@settings(max_examples=40, derandomize=True)
@given(
    name=st.sampled_from(["encoder layer 1", "decoder layer 2", "cross layer 10", "additive"]),
    heads=st.integers(1, 3),
    T=st.integers(1, 6),
    S=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_measures_are_those_of_loops(name: str, heads: int, T: int, S: int, seed: int) -> None:
    kind = name.split()[0]
    K = T if kind in ("encoder", "decoder") else S
    weights = random_weights(heads, T, K, seed, causal=kind == "decoder")
    found = head_values(name, weights)
    for h in range(heads):
        expected = by_loops(kind, weights[h].tolist())
        assert set(expected) == set(found)
        for metric, values in expected.items():
            assert found[metric][h].tolist() == pytest.approx(values, abs=1e-9), metric


def by_loops(kind: str, rows: list[list[float]]) -> dict[str, list[float]]:
    """Every measure of one head, one value a query for which it is defined."""
    T, K = len(rows), len(rows[0])
    found: dict[str, list[float]] = {
        "head_entropy": [-sum(w * math.log(w) for w in row if w > 0) for row in rows],
        "head_distance": [sum(w * abs(t - k) for k, w in enumerate(row)) for t, row in enumerate(rows)],
        "head_strongest": [max(row) for row in rows],
        "head_entropy_share": [],
        "head_edge": [],
    }
    for t, row in enumerate(rows):
        seen = t + 1 if kind == "decoder" else K
        if seen > 1:
            found["head_entropy_share"].append(found["head_entropy"][t] / math.log(seen))
            found["head_edge"].append(row[0] if kind == "decoder" else row[-1])
    if kind in ("encoder", "decoder"):
        for metric, offset in SELF.items():
            if not (kind == "decoder" and offset == 1):
                found[metric] = [row[t + offset] for t, row in enumerate(rows) if 0 <= t + offset < K]
    else:
        best = [row.index(max(row)) for row in rows]
        found["head_alignment"] = [float(abs(b - t * (K - 1) / max(T - 1, 1)) <= 1) for t, b in enumerate(best)]
    return found


@pytest.fixture(scope="module")
def inspected(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a copy of the store, inspected: to be read alone."""
    root = tmp_path_factory.mktemp("inspected")
    shutil.copytree(trained, root, dirs_exist_ok=True)
    main("tiny", str(root / "runs"))
    return root


def kept(root: Path, model: str) -> Path:
    return root / "runs" / "tiny" / "inspection" / "files-en-de" / model / "base" / "seed0"


def test_the_record(inspected: Path) -> None:
    record = read_json(kept(inspected, "transformer") / "result.json")
    key = [record[name] for name in ("suite", "experiment", "task", "model", "variant", "seed")]
    assert key == ["tiny", "inspection", "files-en-de", "transformer", "base", 0]
    assert record["command"] == "make inspect SUITE=tiny"
    assert record["held_equal"]["sentences measured"] == f"first {SIZES['seen']} of seen, teacher forced"
    rows = record["measurements"]
    assert {row["n"] for row in rows} == {SIZES["seen"]}
    module, _, _ = load_module(tiny_key(inspected, "transformer").folder)
    layers = len(module.network.encoder)
    names = [f"{kind} layer {i + 1}" for kind in ("encoder", "decoder", "cross") for i in range(layers)]
    assert list(dict.fromkeys(row["x_name"] for row in rows if row["x_name"])) == names
    heads = module.network.encoder[0].self_attention.heads
    for metric in ("head_entropy", "head_entropy_share", "head_distance", "head_strongest", "head_edge"):
        assert [(r["x_name"], r["x"]) for r in rows if r["metric"] == metric] == [
            (name, head) for name in names for head in range(1, heads + 1)
        ]
    shares = [row["value"] for row in rows if row["unit"] == "share"]
    assert all(0 <= value <= 1 for value in shares)


def test_measures_are_means_over_the_queries_of_all_sentences(inspected: Path) -> None:
    """One measure, taken again from one batch of all sentences, padded."""
    module, data, _ = load_module(tiny_key(inspected, "transformer").folder)
    (batch,) = data.loader("seen", max_tokens=10_000)
    with torch.no_grad():
        maps = module.network.every_attention(batch.source, batch.decoder_input)
    scored = batch.decoder_input != 0
    expected = maps["cross layer 1"].amax(-1).transpose(1, 2)[scored].mean(0)  # (h,)
    rows = read_json(kept(inspected, "transformer") / "result.json")["measurements"]
    found = [r["value"] for r in rows if (r["metric"], r["x_name"]) == ("head_strongest", "cross layer 1")]
    assert found == pytest.approx(expected.tolist(), abs=1e-5)


def test_maps_are_kept_of_the_same_sentences_for_every_model(inspected: Path) -> None:
    lstm, transformer = (read_json(kept(inspected, model) / "attention.json") for model in MODELS)
    assert [s["id"] for s in lstm] == [s["id"] for s in transformer]
    assert len(lstm) == inspection.SENTENCES
    assert all(s["maps"] == {} for s in lstm)
    lengths = [len(s["source_tokens"]) for s in lstm]
    assert lengths == sorted(lengths)
    rows = read_lines(tiny_key(inspected, "transformer").folder / "hypotheses" / "seen.jsonl")
    hypotheses = {row["id"]: row["hypothesis"] for row in rows}
    for sentence in transformer:
        S, T = len(sentence["source_tokens"]), len(sentence["target_tokens"])
        assert "".join(sentence["target_tokens"][:-1]).replace("▁", " ").strip() == hypotheses[sentence["id"]]
        for name, heads in sentence["maps"].items():
            queries, columns = {"encoder": (S, S), "decoder": (T, T), "cross": (T, S)}[name.split()[0]]
            weights = torch.tensor(heads, dtype=torch.double)
            assert weights.shape[1:] == (queries, columns)
            torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]), rtol=0, atol=0.0005 * columns)
            assert torch.equal(weights, (1000 * weights).round() / 1000)
            if name.startswith("decoder"):
                assert (weights.triu(1) == 0).all()


def test_words_are_counted_in_the_training_text(inspected: Path) -> None:
    tokenise = Tokenizer13a()
    folder = tiny_key(inspected, "transformer").folder
    counted = read_json(kept(inspected, "transformer") / "target_word_counts.json")
    assert counted["tokeniser"] == "13a"
    rows = [row for test_set in ("seen", "unseen") for row in read_lines(folder / "hypotheses" / f"{test_set}.jsonl")]
    lines = [row[field] for row in rows for field in ("hypothesis", "reference")]
    assert set(counted["counts"]) == {word for line in lines for word in tokenise(line).split()}
    train = (inspected / "corpus" / "train.de").read_text(encoding="utf-8").split("\n")
    words = [word for line in train for word in tokenise(line).split()]
    assert counted["counts"] == {word: words.count(word) for word in counted["counts"]}
    assert max(counted["counts"].values()) > 10


def test_a_second_call_skips(inspected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (kept(inspected, "lstm") / "result.json").stat().st_mtime_ns
    main("tiny", str(inspected / "runs"))
    said = capsys.readouterr().out.strip().split("\n")
    assert said == [f"finished already: {kept(inspected, model)}" for model in MODELS]
    assert (kept(inspected, "lstm") / "result.json").stat().st_mtime_ns == before


def test_a_retrained_model_is_inspected_again(inspected: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tiny_key(inspected, "lstm").folder / "result.json"
    original = record.read_text(encoding="utf-8")
    record.write_text(json.dumps(read_json(record) | {"config_hash": "0" * 16}), encoding="utf-8")
    main("tiny", str(inspected / "runs"))
    record.write_text(original, encoding="utf-8")
    assert f"{kept(inspected, 'lstm')}: 0 attention heads, " in capsys.readouterr().out
    main("tiny", str(inspected / "runs"))  # as other tests find it


def test_a_run_without_its_hypotheses_is_skipped(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_key(store, "lstm").folder
    (folder / "hypotheses" / "unseen.jsonl").unlink()
    with pytest.raises(SystemExit, match=f"{FAILED}"):
        main("tiny", str(store / "runs"))
    said = capsys.readouterr()
    assert said.err.startswith(f"skipped {folder}: ")
    assert said.err.endswith(f"delete {folder}/result.json and train this run again.\n")
    assert f"{kept(store, 'transformer')}: " in said.out
    assert not kept(store, "lstm").exists()
