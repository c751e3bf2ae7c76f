"""Scoring of contrast pairs: log-probabilities against independent sums, and what is recorded of them."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from datamodules.batch import EOS
from datamodules.contrast.pairs import ContrastPair, Number
from experiments.record.write import write_rows
from experiments.translation.contrastive import (
    ATTRACTORS,
    DISTANCES,
    LogProb,
    Scored,
    balanced,
    bin_of,
    log_probs,
    main,
    measurements,
)
from tests.support.tiny_runs import read_json, read_lines, tiny_key
from tests.support.toy_networks import BOS, TARGET_VOCABULARY, Chain, build

SENTENCES = [
    ((5, 6, 7), (4, 5)),
    ((5, 6, 7), (4, 6)),
    ((9,), (8, 8, 8, 3, 10, 4)),
    ((3, 4, 5, 6, 7, 8, 9), (7,)),
    ((5, 6, 7), (4, 5)),
]


@pytest.fixture
def chain() -> Chain:
    torch.manual_seed(0)
    network = Chain(torch.randn(9, TARGET_VOCABULARY, TARGET_VOCABULARY))
    network.register_parameter("weight", nn.Parameter(torch.zeros(1)))
    return network


@pytest.mark.parametrize("max_tokens", [1, 12, 1000])
def test_scores_are_sums_over_known_distributions(chain: Chain, max_tokens: int) -> None:
    for (_, target), found in zip(SENTENCES, log_probs(chain, SENTENCES, max_tokens), strict=True):
        steps = zip((BOS, *target), (*target, EOS), strict=True)
        by_hand = [
            float(chain.scores[t, before, token]) - math.log(sum(math.exp(v) for v in chain.scores[t, before].tolist()))
            for t, (before, token) in enumerate(steps)
        ]
        assert found.tokens == len(target) + 1
        assert found.total == pytest.approx(sum(by_hand), abs=1e-5)
        assert found.mean == pytest.approx(sum(by_hand) / len(by_hand), abs=1e-5)


def test_equal_sentences_tie_exactly_in_whatever_batches() -> None:
    network = build("transformer-sinusoidal-pre", dtype=torch.float32)
    first, *_, last = log_probs(network, SENTENCES, 1)
    assert first == last


def pair(number: Number, distance: int, id: int = 0, attractors: int | None = None) -> ContrastPair:
    return ContrastPair("source", "reference", "contrast", number, distance, attractors, f"test {id}")


def scored(
    distance: int, attractors: int | None, reference: LogProb, contrast: LogProb, number: Number = "singular"
) -> Scored:
    return Scored(pair(number, distance, attractors=attractors), reference, contrast)


def test_each_bin_keeps_as_many_singular_as_plural_verbs_and_the_same_ones_every_time() -> None:
    singular = [pair("singular", id % 3, id) for id in range(60)]
    plural = [pair("plural", id % 3, id) for id in range(60, 72)]
    alone = [pair("plural", 9, 99)]
    mixed = [*singular[:30], *plural, *alone, *singular[30:]]
    kept = balanced(mixed)
    assert [each for each in mixed if each in kept] == kept
    for distance in range(3):
        assert [each.number for each in kept if each.distance == distance].count("singular") == 4
        assert {each.id for each in plural if each.distance == distance} < {each.id for each in kept}
    assert len(kept) == 24
    assert set(balanced([*reversed(mixed)])) == set(kept)
    assert {each.id for each in kept if each.number == "singular"} != {each.id for each in singular[:12]}
    with pytest.raises(ValueError, match="verbs of one number only"):
        balanced(singular)


@pytest.mark.parametrize(
    ("reference", "contrast", "right", "right_by_mean"),
    [
        (LogProb(-4.0, 4), LogProb(-5.0, 4), True, True),
        (LogProb(-5.0, 4), LogProb(-4.0, 4), False, False),
        (LogProb(-4.0, 4), LogProb(-4.0, 4), False, False),  # a tie
        (LogProb(-4.0, 4), LogProb(-4.5, 5), True, False),  # -1 and -0.9 a token
        (LogProb(-4.0, 5), LogProb(-3.5, 4), False, True),
        (LogProb(-4.0, 5), LogProb(-4.0, 4), False, True),
    ],
)
def test_right_and_wrong(reference: LogProb, contrast: LogProb, right: bool, right_by_mean: bool) -> None:
    found = scored(0, None, reference, contrast)
    assert (found.right, found.right_by_mean) == (right, right_by_mean)


def test_bins_reach_to_the_next() -> None:
    assert [bin_of(distance, DISTANCES) for distance in (0, 1, 2, 3, 4, 7, 8, 99)] == [0, 1, 2, 2, 4, 4, 8, 8]
    assert [bin_of(attractors, ATTRACTORS) for attractors in range(5)] == [0, 1, 2, 2, 2]


def test_measurements_by_hand() -> None:
    good, bad = LogProb(-1.0, 2), LogProb(-2.0, 2)
    pairs = [
        scored(0, 0, good, bad),
        scored(0, 1, bad, good, "plural"),
        scored(3, None, good, bad),
        scored(2, 0, good, good),
        scored(9, 3, good, bad),
    ]
    found = {(m.x_name, m.x): (m.value, m.n) for m in measurements(pairs) if m.metric == "contrastive_accuracy"}
    assert found == {
        ("all", "all"): (0.6, 5),
        ("distance", 0): (0.5, 2),
        ("distance", 2): (0.5, 2),
        ("distance", 8): (1.0, 1),
        ("attractors", 0): (0.5, 2),
        ("attractors", 1): (0.0, 1),
        ("attractors", 2): (1.0, 1),
    }
    chance = {(m.x_name, m.x): m.value for m in measurements(pairs) if m.metric == "chance: the more frequent number"}
    assert chance == {key: {("all", "all"): 0.8, ("distance", 0): 0.5}.get(key, 1.0) for key in found}
    by_mean = {(m.x_name, m.x) for m in measurements(pairs) if m.metric == "contrastive_accuracy_mean"}
    assert by_mean == set(found)
    assert {m.unit for m in measurements(pairs)} == {"share"}


CAPTIONS = ["Ein Mann geht.", "Zwei Frauen sitzen auf einer Bank.", "Ein Garten.", "Zwei Hunde mit Hut schlafen."]
CAPTIONS += ["Ein Mann mit Hut steht dort."]


def write_captions(root: Path, captions: list[str]) -> None:
    """Put captions in the place of the sentences that a tiny run was tested on."""
    for split, lines in (("seen", captions[:2]), ("unseen", captions[2:])):
        path = tiny_key(root, "lstm").folder / "hypotheses" / f"{split}.jsonl"
        row = read_lines(path)[0] | {"source": "a man ."}
        write_rows(path, [row | {"id": i, "reference": line} for i, line in enumerate(lines)])


@pytest.fixture
def captioned(store: Path) -> Path:
    """A store with one trained model, tested on captions."""
    shutil.rmtree(store / "runs" / "tiny" / "bleu" / "files-en-de" / "transformer")
    write_captions(store, CAPTIONS)
    return store


def scoring_folder(root: Path) -> Path:
    return root / "runs" / "tiny" / "long-range" / "contrastive-files-en-de" / "lstm" / "base" / "seed0"


def score(root: Path) -> None:
    main("tiny", str(root / "runs"))


def test_the_record_its_rows_and_when_they_are_made_again(captioned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    score(captioned)
    path = scoring_folder(captioned) / "result.json"
    record = read_json(path)
    key = [record[name] for name in ("suite", "experiment", "task", "model", "variant", "seed")]
    assert key == ["tiny", "long-range", "contrastive-files-en-de", "lstm", "base", 0]
    assert record["command"] == "make contrastive SUITE=tiny"
    assert {"contrast pairs", "tokenizer", "precision"} == set(record["held_equal"])
    assert record["started"] <= record["finished"]
    counted = {(m["x_name"], m["x"]): m["n"] for m in record["measurements"] if m["metric"] == "contrastive_accuracy"}
    assert counted == {("all", "all"): 4, ("distance", 0): 2, ("distance", 2): 2}
    assert f"{scoring_folder(captioned)}: " in capsys.readouterr().out

    rows = read_lines(scoring_folder(captioned) / "pairs.jsonl")
    assert [row["id"] for row in rows] == ["seen 0", "seen 1", "unseen 1", "unseen 2"]
    assert rows[0]["contrast"] == "Ein Mann gehen."
    assert all(row["log_prob_reference"] < 0 and row["log_prob_contrast"] < 0 for row in rows)
    share = sum(row["log_prob_reference"] > row["log_prob_contrast"] for row in rows) / 4
    assert record["measurements"][0]["value"] == share

    before = path.stat().st_mtime_ns
    score(captioned)
    assert capsys.readouterr().out.strip() == f"finished already: {scoring_folder(captioned)}"
    assert path.stat().st_mtime_ns == before

    for name, value in (("config_hash", "0" * 16), ("finished", "2126-01-01T00:00:00+00:00")):  # trained again
        trained = tiny_key(captioned, "lstm").folder / "result.json"
        trained.write_text(json.dumps(read_json(trained) | {name: value}))
        score(captioned)
        assert "finished already" not in capsys.readouterr().out

    write_captions(captioned, ["Ein Mann lacht.", *CAPTIONS[1:]])  # other pairs
    score(captioned)
    assert "finished already" not in capsys.readouterr().out
    assert read_lines(scoring_folder(captioned) / "pairs.jsonl")[0]["reference"] == "Ein Mann lacht."


def test_a_model_into_another_language_is_skipped_without_a_complaint(
    captioned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tiny_key(captioned, "lstm").folder / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["data"]["init_args"]["corpus"]["target_language"] = "fr"
    path.write_text(yaml.safe_dump(config))
    score(captioned)
    said = capsys.readouterr()
    assert "target_language is 'fr', but contrast pairs are made of German references" in said.out
    assert said.err == ""
