import pytest
import torch

from datamodules import batch
from models.embedding import PAD, Embedding, Vocabularies, embeddings


def test_networks_and_data_agree_on_padding() -> None:
    assert batch.PAD == PAD


def test_embeddings() -> None:
    torch.manual_seed(0)
    source, target = embeddings(Vocabularies(300, 500), 64, one_table=False)
    assert source.weight.shape == (300, 64)
    assert target.weight.shape == (500, 64)
    for table in (source, target):
        assert (table.weight[PAD] == 0).all()
        assert table.weight[1:].std().item() == pytest.approx(1 / 8, rel=0.05)
    one, other = embeddings(Vocabularies(500, 500), 64, one_table=True)
    assert one is other


def test_what_is_read_has_unit_variance_and_padding_stays_zero() -> None:
    torch.manual_seed(0)
    read = Embedding(500, 64)(torch.arange(500))
    assert read[PAD].abs().sum() == 0
    assert read[PAD + 1 :].std().item() == pytest.approx(1.0, abs=0.02)
