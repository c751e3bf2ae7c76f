"""Language models of the comparison: each of our size, and all on our pieces of text."""

from pathlib import Path

import pytest
import torch

from datamodules.language.text_file import TextFile
from experiments.speed.peers import language_worker
from experiments.speed.peers.language_models import PlainLSTM, TextbookLSTM
from experiments.speed.peers.language_worker import main
from tests.support.tiny_peers import FakeChannel, InputEnds


def test_the_textbooks_loop_is_torchs_own_layer() -> None:
    torch.manual_seed(0)
    plain, textbook = PlainLSTM(11, 4, 6, 2), TextbookLSTM(11, 4, 6, 2)
    textbook.embedding, textbook.output = plain.embedding, plain.output
    for i, cell in enumerate(textbook.cells):
        cell.load_state_dict({name: getattr(plain.lstm, f"{name}_l{i}") for name in cell.state_dict()})
    tokens = torch.randint(0, 11, (3, 5))
    torch.testing.assert_close(textbook(tokens[:, :0], tokens), plain(tokens[:, :0], tokens))


@pytest.mark.parametrize("variant", ["fp32", "plain", "textbook"])
def test_a_model_trains_on_our_text_in_blocks(variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    channel = FakeChannel("train", "train")
    monkeypatch.setattr(language_worker, "WorkerChannel", lambda: channel)
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    path = tmp_path / TextFile.path
    path.parent.mkdir()
    path.write_text("".join(f"{n} green bottles.\n" for n in range(400)))
    with pytest.raises(InputEnds):
        main("lstm", variant, 1)
    started, *blocks = channel.answers
    assert abs(started["parameters"] / 850_000 - 1) < 0.15
    assert [block["target_tokens"] for block in blocks] == [12 * 64] * 2
