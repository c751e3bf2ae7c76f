"""A tiny corpus with the splits of the comparison with peers."""

from pathlib import Path
from typing import Any

from datamodules import TranslationData
from datamodules.corpora import Corpus
from datamodules.tokenizer import TokenizerSettings
from experiments.speed.peers.sizes import TEST_SET
from tests.support.tiny_runs import write_corpus


def peer_data(folder: Path, max_tokens: int = 60) -> TranslationData:
    files = write_corpus(folder / "corpus")
    files = {"train": files["train"], "val": files["val"], TEST_SET: files["seen"]}
    corpus = Corpus(name="files", files=files)
    tokenizer = TokenizerSettings(vocab_size=150)
    return TranslationData(corpus, tokenizer, max_tokens=max_tokens, cache_dir=str(folder / "cache"))


class FakeChannel:
    """Commands to a worker in this process; after the last one `InputEnds` ends its loop."""

    def __init__(self, *commands: str) -> None:
        self.commands, self.answers = list(commands), list[dict[str, Any]]()

    def command(self) -> str:
        if not self.commands:
            raise InputEnds
        return self.commands.pop(0)

    def answer(self, **values: Any) -> None:
        self.answers.append(values)


class InputEnds(Exception):
    """No command is left."""
