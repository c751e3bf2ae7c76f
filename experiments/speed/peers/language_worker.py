"""One language model of the comparison, in blocks of updates on the same pieces of Shakespeare.

Ours train through the Trainer as `make language` does, the others in a plain loop. Runs in the peers' environment.
"""

import os

import lightning as L
import torch
from jsonargparse import auto_cli
from torch import nn

from experiments.planning.grid import plan_tasks
from experiments.planning.parser import build_parser, instantiate
from experiments.speed.peers.language_models import GPT2, PlainLSTM, TextbookLSTM
from experiments.speed.peers.our_worker import PRECISION, count_update, no_translation, train_ours
from experiments.speed.peers.protocol import BlockTimer, WorkerChannel
from experiments.speed.peers.sizes import GRADIENT_CLIP, SEED
from experiments.speed.peers.textbook import training_loop
from experiments.training.environment import quiet
from models import Seq2SeqModule
from models.decoder_only.recurrent import DecoderOnlyRecurrentNetwork

TEXT = "shakespeare"  # of SUITE=full
LEARNING_RATE = 1e-3


def main(model: str, variant: str, updates: int, data_dir: str = "") -> None:
    """Carry out commands until the input ends.

    Args:
        model: transformer or lstm.
        variant: fp32 or bf16 for ours; gpt2, plain or textbook.
        updates: Updates in a block.
        data_dir: Folder of downloaded texts.
    """
    channel = WorkerChannel()
    quiet()
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    L.seed_everything(SEED, verbose=False)
    where = [f"--data.init_args.data_dir={data_dir}"] if data_dir else []
    parser = build_parser()
    (planned,) = plan_tasks("language", "full", [TEXT], [model], [SEED], "runs", where)
    built = instantiate(parser, parser.parse_args(planned.arguments))
    if variant in PRECISION:
        train_ours(channel, built.model, built.data, PRECISION[variant], updates, no_translation)
        return
    network = of_equal_size(built.model, variant, built.data.context)
    timer = BlockTimer(channel, updates, no_translation)
    channel.answer(parameters=sum(p.numel() for p in network.parameters()), name=type(network).__name__)
    timer.wait()
    for batch in training_loop(network, built.data.train_dataloader(), LEARNING_RATE, GRADIENT_CLIP, smoothing=0.0):
        count_update(timer, batch)


def of_equal_size(ours: Seq2SeqModule, variant: str, context: int) -> nn.Module:
    """Another implementation of our model."""
    network = ours.network
    vocabulary, width = network.output.out_features, network.output.in_features
    if isinstance(network, DecoderOnlyRecurrentNetwork):
        rnn = network.rnn
        made = PlainLSTM if variant == "plain" else TextbookLSTM
        return made(vocabulary, rnn.input_size, rnn.hidden_size, rnn.num_layers)
    layers = network.get_submodule("layers")
    assert isinstance(layers, nn.ModuleList)
    heads: int = layers[0].get_submodule("self_attention").heads  # type: ignore[assignment]
    return GPT2(vocabulary, width, heads, len(layers), context)


if __name__ == "__main__":
    auto_cli(main, as_positional=True)
