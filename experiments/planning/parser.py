"""The configuration of a run: its arguments, the objects that they describe, and the part that decides its numbers."""

from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace
from jsonargparse.typing import PositiveInt, restricted_string_type

from datamodules import LanguageData, SyntheticData, TranslationData
from datamodules.corpora import Corpus, contents, find_data_dir
from datamodules.text_files import content_hash
from experiments.planning.yaml_files import PlainConfig, one_sentence
from experiments.record.keys import IDENTITY, RunKey, source_of
from experiments.record.read import read_json
from experiments.record.schema import Identity
from experiments.training.starting_weights import best_of
from experiments.training.trainer import TrainerSettings
from models import Seq2SeqModule
from models.search import Decoding

DESCRIPTION = """One run: train a model, choose its best checkpoint on validation data, measure it, record the numbers.

    C=experiments/configs/bleu/quick
    python -m experiments.run -c $C/common.yaml -c $C/lstm.yaml \\
        --run.suite quick --run.experiment bleu --run.task embedded-en-de --run.model lstm
"""
NameOfRun = restricted_string_type("NameOfRun", r"^([^/]+/[^/]+/[^/]+)?$")  # experiment/task/model
# What may change without changing a run's numbers.
NOT_PART_OF_THE_EXPERIMENT = (
    "config",
    "run.root",
    "run.command",
    "data.init_args.data_dir",
    "data.init_args.cache_dir",
    "data.init_args.tokenizers",
)


def build_parser() -> ArgumentParser:
    """Every key of a configuration is an argument of a class: `--help` shows their docstrings."""
    parser = ArgumentParser(
        prog="python -m experiments.run", description=DESCRIPTION, exit_on_error=False, allow_abbrev=False
    )
    parser.add_argument("-c", "--config", action=PlainConfig, help="YAML file; later files override earlier ones")
    parser.add_class_arguments(RunKey, "run")
    parser.add_subclass_arguments(Seq2SeqModule, "model", required=True)
    parser.add_subclass_arguments((TranslationData, SyntheticData, LanguageData), "data", required=True)
    parser.add_class_arguments(TrainerSettings, "trainer")
    parser.add_class_arguments(Decoding, "decoding")
    parser.add_argument(
        "--starts_from",
        type=NameOfRun,
        default="",
        help="experiment/task/model of a finished run, same suite and seed, whose weights training starts from",
    )
    parser.add_argument(
        "--validation_sentences", type=PositiveInt, default=1000, help="decoded greedily at each validation"
    )
    parser.add_argument(
        "--evaluate_tests", type=bool, default=True, help="false: train and validate only, as trials of tuning do"
    )
    parser.link_arguments("run.seed", "data.init_args.seed")
    for vocabulary in ("source_vocabulary", "target_vocabulary", "shared_vocabulary"):
        attribute = vocabulary.replace("vocabulary", "vocab_size") if vocabulary != "shared_vocabulary" else vocabulary
        parser.link_arguments(f"data.{attribute}", f"model.init_args.{vocabulary}", apply_on="instantiate")
    return parser


def identity(config: Namespace) -> dict[str, Any]:
    """What decides a run's numbers: part of its configuration, and what its files hold.

    Of a file that is gone, that is what it held when the run in this folder was trained.
    """
    kept = config.clone()
    for name in NOT_PART_OF_THE_EXPERIMENT:
        kept.pop(name, None)
    described = kept.as_dict()
    key = RunKey(**config.run.as_dict())
    found = contents_of_files(config.data.init_args)
    if config.starts_from:
        found[config.starts_from] = content_of(best_of(source_of(key, config.starts_from)))
    if found:
        before = recorded_identity(key.folder).get("contents", {})
        described["contents"] = {name: content or before.get(name) for name, content in found.items()}
    return described


def contents_of_files(data: Namespace) -> dict[str, str | None]:
    """SHA-256 of each file that the data are read from, None where there is no file; nothing for what is generated."""
    if "corpus" in data:
        corpus = Corpus(**data.corpus.as_dict())
        return contents(corpus, find_data_dir(data.data_dir), Path(data.cache_dir))
    if "text" in data and "path" in data.text.init_args:
        name = data.text.init_args.path
        return {name: content_of(find_data_dir(data.data_dir) / name)}
    return {}


def content_of(path: Path) -> str | None:
    return content_hash(path, Path(".cache")) if path.is_file() else None


def recorded_identity(folder: Path) -> Identity:
    """The identity of the run that a folder was made for; empty if it does not tell."""
    try:
        recorded: Identity = read_json(folder / IDENTITY, Identity)
    except (FileNotFoundError, ValueError):
        return {}
    return recorded


def with_tokenizers(config: Namespace, folder: Path) -> Namespace:
    """A translation model's configuration with the tokenisers of a folder; any other as it is."""
    kept = config.clone()
    if "corpus" in kept.data.init_args:
        kept.data.init_args.tokenizers = str(folder)
    return kept


def instantiate(parser: ArgumentParser, config: Namespace) -> Namespace:
    """The model, data and settings of a configuration.

    Raises:
        ValueError: A value is impossible.
    """
    try:
        return parser.instantiate(config)
    except (ArgumentError, ValueError) as error:
        raise ValueError(one_sentence(error)) from error
    except TypeError as error:
        raise ValueError(f"the configuration has a value of a wrong kind, null for example: {error}.") from error
