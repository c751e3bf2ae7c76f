"""Greedy and beam search by length and by number of sentences: latency of a token."""

from collections.abc import Callable
from typing import Any

import torch

from experiments.speed.profiling import kernels
from experiments.speed.record import Rows, log
from experiments.speed.settings import Decode, Settings
from experiments.speed.systems import System, build, random_batch
from experiments.speed.timing import alternate, spread
from models.network import Network
from models.search import Decoding, search

SEARCHES = {"greedy": 1, "beam5": 5}
NEVER = -1  # an end of sentence that no token is: every hypothesis is cut off at the limit


def run_decoding(asked: Decode, settings: Settings, device: torch.device) -> tuple[dict[str, Rows], dict[str, Any]]:
    """Seconds per token for every system; rows by system, and what was held equal."""
    systems = [System(name) for name in asked.systems]
    networks = {}
    for system in systems:
        torch.manual_seed(0)
        module = build(settings.models[system.network], settings.vocabulary)
        networks[system.name] = module.network.to(device).eval()
    found = {system.name: Rows() for system in systems}
    shapes = {"length": [(n, asked.batch, n) for n in asked.lengths]}
    shapes["batch"] = [(n, n, asked.length) for n in asked.batches]
    for axis, along in shapes.items():
        for search_name, beams in SEARCHES.items():
            log(f"decoding, {search_name}: {axis} {', '.join(str(value) for value, _, _ in along)}")
            runs = {
                (name, value, rows, length): searching(network, rows, length, beams, settings)
                for value, rows, length in along
                for name, network in networks.items()
            }
            # All in turn: what is asked is how a token's cost changes, and so does a machine's clock within minutes.
            taken = alternate(runs, settings.clock.rounds, settings.clock.seconds, device)
            for (name, value, rows, length), seconds in taken.items():
                each = [s / length for s in seconds]
                found[name].add_spread(f"{search_name}_seconds_per_token", each, "s", axis, value)
                rate = rows / spread(each).median
                found[name].add(f"{search_name}_tokens_per_second", rate, "tokens/s", axis, value)
    for system in systems:
        run = searching(networks[system.name], 2, 4, 1, settings)
        found[system.name].kernels |= {**kernels(run), "precision": "32-true", "mode": "eager"}
    held_equal = {
        "width": settings.width,
        "vocabulary": settings.vocabulary,
        "source length": "the target's",
        "sentences at once, by length": asked.batch,
        "length, by sentences at once": asked.length,
    }
    return found, held_equal


def searching(network: Network, rows: int, length: int, beams: int, settings: Settings) -> Callable[[], object]:
    """A search, encoding included, whose hypotheses all have `length` tokens."""
    device = next(network.parameters()).device
    source = random_batch(rows, length, 1, settings.vocabulary, device).source
    decoding = Decoding(beam_size=beams, length_factor=0.0, length_margin=length, eos_id=NEVER)
    return lambda: search(network, source, decoding)
