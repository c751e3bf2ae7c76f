"""Operations that the translation runs of a suite spent for each target token, for time and FLOPs to quality."""

from itertools import islice
from pathlib import Path

from datamodules import TranslationData
from datamodules.batch import IGNORE, Batch
from experiments.planning.parser import build_parser
from experiments.planning.yaml_files import read_yaml
from experiments.record.read import finished_runs
from experiments.speed.flops import count
from experiments.speed.record import Rows, log
from models import Seq2SeqModule

BATCHES = 12  # of the first pass over the data, as a sample


def translation_runs(root: Path, suite: str) -> dict[str, dict[str, Path]]:
    """By task and name of the system the folder of the first seed of every finished translation run."""
    found: dict[str, dict[str, Path]] = {}
    for folder in finished_runs(root, suite, "bleu"):
        task, model, variant, _ = folder.parts[-4:]
        name = model if variant == "base" else f"{model}-{variant}"
        found.setdefault(task, {}).setdefault(name, folder)
    return found


def operations(folder: Path) -> Rows:
    """FLOPs per scored target token of a run, padding included as it was trained."""
    log(f"operations of {folder}")
    parser = build_parser()
    built = parser.instantiate(parser.parse_object(read_yaml(folder / "config.yaml")))
    module, data = built.model, built.data
    assert isinstance(module, Seq2SeqModule)
    assert isinstance(data, TranslationData)
    network, vocabulary, tokens = 0, 0, 0
    batches: list[Batch] = list(islice(data.train_dataloader(), BATCHES))
    for batch in batches:
        (rows, length), scored = batch.labels.shape, int((batch.labels != IGNORE).sum())
        one = count(module.network, batch.source.shape[1], length)
        network += rows * (one.forward_backward - one.vocabulary)
        vocabulary += one.vocabulary * scored // length  # padding is dropped before the projection
        tokens += scored
    found = Rows()
    found.add("flops_per_target_token", (network + vocabulary) / tokens, "FLOP", n=tokens)
    found.add("flops_per_target_token_without_vocabulary", network / tokens, "FLOP", n=tokens)
    return found
