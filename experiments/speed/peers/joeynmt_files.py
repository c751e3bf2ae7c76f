"""JoeyNMT's input files: the same sentences, the same SentencePiece model, the same sizes."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from string import Template

import yaml

from datamodules import TranslationData
from datamodules.batch import SPECIAL_TOKENS
from datamodules.subword_tokenizer import SentencePieceTokenizer
from experiments.record.write import write_atomically
from experiments.speed.peers import sizes
from experiments.speed.peers.sizes import SOURCE, TARGET, TEST_SET

# Tokens a batch of its beam search, padding counted: for its Transformer 1,000 and 5,000 were no faster (two cores).
DECODING_TOKENS = 2500
CONFIG = Path(__file__).with_name("joeynmt.yaml")


def write_text(data: TranslationData, folder: Path) -> None:
    """Sentences of each split, vocabulary and SentencePiece model."""
    tokenizer = data.target_tokenizer
    assert isinstance(tokenizer, SentencePieceTokenizer)
    model = tokenizer.processor.serialized_model_proto()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spm.model").write_bytes(model)
    pieces = tokenizer.pieces(range(len(SPECIAL_TOKENS), len(tokenizer)))
    write_atomically(folder / "vocabulary.txt", lines(pieces))
    for split in ("train", "val", TEST_SET):
        text = data.text(split)
        write_atomically(folder / f"{split}.{SOURCE}", lines(text.source))
        write_atomically(folder / f"{split}.{TARGET}", lines(text.target))


def lines(texts: Iterable[str]) -> str:
    return "".join(text + "\n" for text in texts)


def write_config(model: str, dropout: float, data: TranslationData, updates: int, name: str, folder: Path) -> Path:
    """JoeyNMT's configuration of a model, in the folder of `write_text`.

    Args:
        model, dropout: Which of our models; JoeyNMT's has the same sizes.
        data: With the token budget.
        updates: Updates between two lines of its log, which are the blocks of the comparison.
        name: Of the file.
        folder: Of the text.
    """
    transformer, bahdanau = sizes.transformer(dropout), sizes.bahdanau(dropout)
    settings = asdict(transformer) | asdict(bahdanau) | asdict(sizes.OPTIMISATION) | asdict(sizes.DECODING)
    settings |= {"name": name, "folder": folder, "seed": sizes.SEED, "updates": updates}
    settings |= {"source": SOURCE, "target": TARGET, "test_set": TEST_SET, "betas": list(sizes.OPTIMISATION.betas)}
    settings |= {"max_length": data.max_length, "max_tokens": data.max_tokens, "decoding_tokens": DECODING_TOKENS}
    settings |= {"gradient_clip": sizes.GRADIENT_CLIP, "half_hidden": bahdanau.hidden // 2}
    config = yaml.safe_load(Template(CONFIG.read_text(encoding="utf-8")).substitute(settings))
    config["model"] = config.pop("models")[model]
    path = folder / f"{name}.yaml"
    write_atomically(path, yaml.safe_dump(config, sort_keys=False))
    return path
