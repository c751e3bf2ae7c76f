"""What a trained network makes of a word with two senses: what its state there knows, and what it looks at from there.

B batch, S source length.
"""

from typing import Any

import torch

from datamodules.batch import Batch
from datamodules.tasks.senses import GAP, ID, Senses
from experiments.long_range.probes import evaluating, probe_states, word_states
from experiments.training.trained_run import attention_record
from models.network import Network

TEST_SET = "examples"
EXAMPLES = (  # the same words with their places exchanged: each place after its noun, then before it
    ("the bank _ again by the river , the crane rusted again by the office .", "flooded"),
    ("the bank _ again by the office , the crane flew again by the river .", "closed"),
    ("by the river again at noon the bank _ , by the office again at noon the crane rusted .", "flooded"),
    ("by the office again at noon the bank _ , by the river again at noon the crane flew .", "closed"),
)


@torch.no_grad()
def measured(network: Network, batch: Batch) -> dict[str, tuple[float, str, int]]:
    """Share of senses that a linear probe reads off the noun's state, and attention from the noun to its place.

    The state is that of the last layer once the network has read all it can see from there; the attention that of the
    head, in any layer, that gives most to the places of a sense, a mean over both senses.
    """
    on_host = batch.source.cpu().numpy()
    noun, place = torch.from_numpy(Senses.noun(on_host)), torch.from_numpy(Senses.place(on_host))
    senses = torch.from_numpy(Senses.sense(batch.labels.cpu().numpy())).to(batch.source.device)
    found = probe_states(word_states(network, batch.source, noun), senses)
    rows = {
        "sense_probe": (found.accuracy, "share", found.n),
        "probe chance: the most frequent sense": (found.chance, "share", found.n),
    }
    with evaluating(network):
        maps = network.every_attention(batch.source, batch.decoder_input)
    row = torch.arange(len(on_host))
    heads = [w[row, :, noun, place].double() for name, w in maps.items() if name.startswith("encoder")]  # (B, h) each
    if heads:
        best = [torch.cat(heads, 1)[senses == sense].mean(0).max() for sense in (0, 1)]
        rows["sense_attention"] = (float(sum(best) / 2), "weight", len(on_host))
    return rows


@torch.no_grad()
def attention_records(network: Network) -> list[dict[str, Any]]:
    """Every map of sentences that have the two senses of "bank"; without maps nothing."""
    device = next(network.parameters()).device
    records = []
    for i, (text, answer) in enumerate(EXAMPLES):
        source = torch.tensor([[ID[word] for word in text.split()]], device=device)
        with evaluating(network):
            maps = network.every_attention(source, torch.tensor([[GAP]], device=device))
        records += [attention_record(TEST_SET, i, text.split(), [answer], maps)] if maps else []
    return records
