"""One language model of the comparison, in blocks of updates on the same pieces of Shakespeare.

Ours train through the Trainer as `make language` does, the others in a plain loop, GPT-2 in the peers' environment.
"""

import os

import lightning as L
import torch
from jsonargparse import Namespace
from torch import nn

from datamodules import LanguageData
from experiments.launch import command_line
from experiments.planning.grid import plan_tasks
from experiments.planning.parser import build_parser, instantiate
from experiments.speed.peers.language_models import GPT2, PlainLSTM, TextbookLSTM
from experiments.speed.peers.our_worker import PRECISION, no_translation, train_ours, train_textbook
from experiments.speed.peers.protocol import WorkerChannel
from experiments.speed.peers.sizes import SEED
from experiments.training.environment import quiet
from models.lightning_modules import Optimisation

TEXT = "shakespeare"  # of SUITE=full
OPTIMISATION = Optimisation(learning_rate=1e-3, label_smoothing=0.0)


def main(model: str, variant: str, updates: int) -> None:
    """Carry out commands until the input ends.

    Args:
        model: transformer or lstm.
        variant: fp32 or bf16 for ours; gpt2, plain or textbook.
        updates: Updates in a block.
    """
    channel = WorkerChannel()
    quiet()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    L.seed_everything(SEED, verbose=False)
    parser = build_parser()
    (planned,) = plan_tasks("language", "full", [TEXT], [model], [SEED], "runs", [])
    config = parser.parse_args(planned.arguments)
    built = instantiate(parser, config)
    if variant in PRECISION:
        train_ours(channel, built.model, built.data, PRECISION[variant], updates, no_translation)
    else:
        network = of_equal_size(config.model.init_args.network, variant, built.data)
        train_textbook(channel, network, built.data.train_dataloader(), updates, OPTIMISATION)


def of_equal_size(size: Namespace, variant: str, data: LanguageData) -> nn.Module:
    """Another implementation of our model."""
    if variant == "gpt2":
        return GPT2(data.target_vocab_size, size.width, size.heads, size.layers, data.context)
    made = PlainLSTM if variant == "plain" else TextbookLSTM
    return made(data.target_vocab_size, size.embedding, size.hidden, size.layers)


if __name__ == "__main__":
    command_line.run(main, positional=True)
