"""What is measured of words with two senses: a sense planted in their states is found, and attention by loops."""

import pytest
import torch

from datamodules.synthetic import Axis, SyntheticData
from datamodules.tasks.senses import ID, NOUNS, SENSE, WORDS, Senses
from datamodules.tasks.task import FIRST
from experiments.long_range import senses
from models.decoder_only.recurrent import DecoderOnlyRecurrentNetwork, DecoderOnlyRecurrentSettings
from models.decoder_only.transformer import DecoderOnlyTransformerNetwork, DecoderOnlyTransformerSettings
from models.embedding import Vocabularies
from models.encoder_only.transformer import EncoderOnlyTransformerNetwork, EncoderOnlyTransformerSettings
from models.network import Network

DATA = SyntheticData(Senses(), [{"clue": [8]}], {"clue": 8}, [Axis("clue", [8])])
SIZE = FIRST + len(WORDS)


def encoder_only() -> Network:
    torch.manual_seed(0)
    settings = EncoderOnlyTransformerSettings(width=16, heads=2, feed_forward=32, layers=2, dropout=0.0)
    return EncoderOnlyTransformerNetwork(Vocabularies(SIZE, SIZE, True), settings).eval()


def decoder_only() -> Network:
    torch.manual_seed(0)
    settings = DecoderOnlyTransformerSettings(width=16, heads=2, feed_forward=32, layers=2, dropout=0.0)
    return DecoderOnlyTransformerNetwork(Vocabularies(SIZE, SIZE, True), settings).eval()


@pytest.mark.parametrize(("clue", "known"), [(-8, True), (8, False)])
def test_only_before_its_noun_can_a_place_be_known_from_left_to_right(clue: int, known: bool) -> None:
    """Not trained: the sense of each place is planted in its embedding, the rest is random."""
    network, batch = decoder_only(), DATA.examples("test", {"clue": clue}, 800)
    with torch.no_grad():
        for place, sense in SENSE.items():
            network.get_parameter("embedding.weight")[ID[place], :8] += 10 * (2 * sense - 1)
    found = senses.measured(network, batch)
    accuracy, _, n = found["sense_probe"]
    assert n == 400
    assert (accuracy > 0.65) == known, accuracy
    assert 0.5 <= found["probe chance: the most frequent sense"][0] < 0.6
    assert (found["sense_attention"][0] > 0) == known


def test_attention_to_the_place_by_loops() -> None:
    network, batch = encoder_only(), DATA.examples("test", {"clue": 8}, 20)
    maps = [
        maps for name, maps in network.every_attention(batch.source, batch.decoder_input).items() if "encoder" in name
    ]
    means: list[dict[int, float]] = []
    for layer in maps:
        for head in range(2):
            weights: dict[int, list[float]] = {0: [], 1: []}
            for row, ids in enumerate(batch.source.tolist()):
                words = [WORDS[i - FIRST] if i else "" for i in ids]
                noun = words.index("_") - 1
                place = next(i for i in range(noun, len(words)) if words[i] in SENSE)  # of the noun: nothing in between
                weights[SENSE[words[place]]].append(layer[row, head, noun, place].item())
            means.append({sense: sum(each) / len(each) for sense, each in weights.items()})
    best = [max(mean[sense] for mean in means) for sense in (0, 1)]
    assert senses.measured(network, batch)["sense_attention"][0] == pytest.approx(sum(best) / 2)


def test_examples_are_sentences_of_the_task_and_have_every_map() -> None:
    for text, verb in senses.EXAMPLES:
        (asked,) = [clause.split() for clause in text.removesuffix(" .").split(" , ") if "_" in clause]
        (place,) = set(asked) & SENSE.keys()
        assert NOUNS[asked[asked.index("_") - 1]][SENSE[place]] == verb
    records = senses.attention_records(encoder_only())
    assert [each["id"] for each in records] == [0, 1, 2, 3]
    assert list(records[0]["maps"]) == ["encoder layer 1", "encoder layer 2", "cross layer 1", "cross layer 2"]
    S = len(records[0]["source_tokens"])
    assert torch.tensor(records[0]["maps"]["encoder layer 1"]).shape == (2, S, S)


def test_a_network_without_attention_has_neither_maps_nor_their_measure() -> None:
    settings = DecoderOnlyRecurrentSettings(embedding=8, hidden=8, layers=1, dropout=0.0)
    network = DecoderOnlyRecurrentNetwork(Vocabularies(SIZE, SIZE, True), settings).eval()
    assert senses.attention_records(network) == []
    assert "sense_attention" not in senses.measured(network, DATA.examples("test", {"clue": 8}, 20))
