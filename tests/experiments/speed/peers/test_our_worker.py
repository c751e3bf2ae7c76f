from itertools import islice
from pathlib import Path

import lightning as L
import pytest
import torch

from datamodules import TranslationData
from experiments.speed.loops import counted
from experiments.speed.peers import our_worker, sizes
from experiments.speed.peers.our_worker import (
    OPTIMISATION,
    build_textbook,
    endless,
    train_ours,
    train_textbook,
    translate,
)
from tests.support.tiny_peers import FakeChannel, InputEnds, peer_data
from tests.support.tiny_runs import SIZES

UPDATES = 3


@pytest.fixture
def data(tmp_path: Path) -> TranslationData:
    L.seed_everything(0, verbose=False)
    return peer_data(tmp_path)


def expected_blocks(data: TranslationData, number: int) -> list[dict[str, int]]:
    batches = list(islice(endless(data), number * UPDATES))
    blocks = []
    for start in range(0, len(batches), UPDATES):
        target, source, positions = counted(batches[start : start + UPDATES])
        blocks.append({"updates": UPDATES, "target_tokens": target, "tokens": target + source, "positions": positions})
    return blocks


@pytest.mark.parametrize("model", sizes.SYSTEMS)
def test_ours_trains_through_the_trainer_in_blocks_and_translates_between_them(
    model: str, data: TranslationData
) -> None:
    channel = FakeChannel("train", "translate", "train")
    module = sizes.build(model, 0.3, data)
    before = [p.detach().clone() for p in module.parameters()]
    with pytest.raises(InputEnds):
        train_ours(channel, module, data, "32-true", UPDATES, lambda: translate(module, data))  # type: ignore[arg-type]
    started, first, translated, second = channel.answers
    assert started["parameters"] == sum(p.numel() for p in module.parameters())
    blocks = [{k: v for k, v in block.items() if k != "seconds"} for block in (first, second)]
    assert blocks == expected_blocks(data, 2)
    assert len(translated["hypotheses"]) == SIZES["seen"]
    assert any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert module.training


@pytest.mark.parametrize("model", sizes.SYSTEMS)
def test_textbooks_train_on_our_batches(model: str, data: TranslationData) -> None:
    channel = FakeChannel("train", "train")
    with pytest.raises(InputEnds):
        train_textbook(channel, build_textbook(model, data), endless(data), UPDATES, OPTIMISATION)  # type: ignore[arg-type]
    blocks = [{k: v for k, v in block.items() if k != "seconds"} for block in channel.answers[1:]]
    assert blocks == expected_blocks(data, 2)


def test_batches_never_end_and_are_new_in_every_epoch(data: TranslationData) -> None:
    length = len(data.train_dataloader())
    seen = list(islice(endless(data), 2 * length))
    first, second = ([i for batch in seen[start : start + length] for i in batch.ids.tolist()] for start in (0, length))
    assert sorted(first) == sorted(second) == list(range(SIZES["train"]))
    assert first != second


@pytest.mark.parametrize(("variant", "expected"), [("fp32", 0.3), ("bf16", 0.3), ("fp32-dropout0", 0.0)])
def test_a_variant_has_its_dropout_and_precision(
    variant: str, expected: float, data: TranslationData, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(our_worker, "WorkerChannel", FakeChannel)
    monkeypatch.setattr(our_worker, "multi30k", lambda: data)
    monkeypatch.setattr(our_worker, "train_ours", lambda channel, module, data, *rest: seen.append((module, *rest)))
    our_worker.main("transformer", variant, UPDATES)
    ((module, precision, updates, _),) = seen
    assert module.network.encoder[0].around_attention.dropout.p == expected
    assert (precision, updates) == ("bf16-mixed" if variant == "bf16" else "32-true", UPDATES)
