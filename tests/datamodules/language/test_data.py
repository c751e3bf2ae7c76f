import numpy as np
import pytest
import torch

from datamodules import LanguageData
from datamodules.batch import IGNORE
from datamodules.language import data as module
from datamodules.language.stories import Stories


def data(**settings: int) -> LanguageData:
    return LanguageData(Stories(), **{"context": 30, "rows": 5, "validation_rows": 150, "test_rows": 7, **settings})


def test_a_batch_has_no_source_and_predicts_the_next_token() -> None:
    batch = data().training_batch(3)
    assert batch.source.shape == (5, 0)
    assert not batch.padded
    assert torch.equal(batch.decoder_input[:, 1:], batch.labels[:, :-1])
    assert batch.ids.tolist() == [15, 16, 17, 18, 19]


def test_training_batches_depend_on_seed_and_number_alone() -> None:
    first, again = data(seed=4), data(seed=4)
    taken = [batch.labels for batch, _ in zip(first.train_dataloader(), range(3), strict=False)]
    assert torch.equal(taken[2], again.training_batch(2).labels)
    assert not torch.equal(taken[0], taken[1])
    assert not torch.equal(taken[0], data(seed=5).training_batch(0).labels)


def test_validation_covers_every_piece_once() -> None:
    batches = list(data().val_dataloader())
    assert torch.cat([batch.ids for batch in batches]).tolist() == list(range(150))
    labels = torch.cat([batch.labels for batch in batches])
    assert np.array_equal(labels.numpy(), data().windows("val").tokens[:, 1:])
    assert len(data().windows("test").tokens) == 7


def test_a_device_without_a_piece_scores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scored = 0
    for rank in range(4):
        monkeypatch.setattr(module, "rank_and_world", lambda rank=rank: (rank, 4))
        scored += sum(int((batch.labels != IGNORE).sum()) for batch in data().val_dataloader())
    assert scored == data().windows("val").tokens[:, 1:].size


def test_nothing_is_drawn_from_nothing() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        data(rows=0)
