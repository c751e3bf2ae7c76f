import pytest
import torch

from datamodules import TranslationData
from datamodules.batch import EOS
from experiments.planning.parser import build_parser
from experiments.training import decode
from experiments.training.decode import Translation, gather, translate_batch, translate_split
from models.network import Network
from models.search import Decoding, Hypothesis, search
from tests.support.tiny_runs import SIZES, tiny_arguments

CPU = torch.device("cpu")
DECODING = Decoding(beam_size=2, length_factor=1.0, length_margin=3)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, TranslationData]:
    parser = build_parser()
    torch.manual_seed(1)
    arguments = tiny_arguments(tmp_path_factory.mktemp("decode"), "transformer")
    built = parser.instantiate(parser.parse_args(arguments))
    return built.model.network.eval(), built.data


def test_a_split_is_translated_whole_and_in_the_corpuss_order(made: tuple[Network, TranslationData]) -> None:
    network, data = made
    found = translate_split(network, data, "seen", DECODING, CPU)
    assert [t.id for t in found] == list(range(SIZES["seen"]))
    lengths = data.examples("seen").lengths[:, 0].tolist()
    assert [t.source_tokens for t in found] == lengths
    assert lengths != sorted(lengths)  # batches go by length: order had to be restored


def test_a_translation_is_that_of_the_sentence_alone(made: tuple[Network, TranslationData]) -> None:
    network, data = made
    together = translate_split(network, data, "seen", DECODING, CPU)
    for i, translation in enumerate(together):
        source = data.examples("seen").batch([i]).source
        (alone,) = translate_batch(network, source, torch.tensor([i]), data, DECODING)
        assert alone.hypothesis == translation.hypothesis
        assert alone.log_prob == pytest.approx(translation.log_prob, abs=1e-4)
        assert alone.truncated == translation.truncated
        best = search(network, source, DECODING)[0][0]
        assert alone.hypothesis == data.target_tokenizer.decode(best.tokens)


def test_a_hypothesis_becomes_text(made: tuple[Network, TranslationData]) -> None:
    _, data = made
    ids = data.target_tokenizer.encode("Der Hund")
    found = decode.as_text(7, Hypothesis([*ids], -2.0, -1.5, True), 4, data)
    assert found == Translation(7, "Der Hund", -1.5, -2.0, 4, True)
    assert decode.as_text(7, Hypothesis([*ids, EOS], -2.0, -1.5, False), 4, data).hypothesis == "Der Hund"


def test_gathering_puts_every_sentence_once_and_in_order() -> None:
    def translation(i: int) -> Translation:
        return Translation(i, f"sentence {i}", 0.0, 0.0, 3, False)

    assert gather([translation(i) for i in (3, 1, 3, 0, 2)]) == [translation(i) for i in range(4)]
    assert gather([]) == []
