"""The trained language models' continuations of a prompt, one under another.

python -m experiments.language.generate "anna has three red" --suite quick --length 30
"""

import sys
import unicodedata
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from datamodules.batch import SPECIAL_TOKENS, UNK
from datamodules.language.data import LanguageData
from datamodules.language.text import Text
from experiments.launch import command_line
from experiments.planning.grid import read_suite
from experiments.record.system_errors import ending_in_a_sentence
from experiments.record.text import visible
from experiments.training.environment import quiet
from experiments.training.trained_run import find_runs, load_module
from models.network import Network


@ending_in_a_sentence()
def main(
    prompt: str,
    suite: str = "quick",
    length: int = 100,
    temperature: float = 0.8,
    top_p: float = 0.95,
    seed: int = 0,
    root: str = "runs",
) -> None:
    """Continue a prompt with every trained language model of a suite.

    Args:
        prompt: The beginning of a text.
        suite: Which suite's models.
        length: Tokens to add.
        temperature: Divides the logits: below 1 likely tokens become likelier.
        top_p: Draw from the most likely tokens that together have this probability (Holtzman et al. 2020).
        seed: Of the draws.
        root: Folder of the run store.
    """
    quiet()
    try:
        if length < 1 or not temperature > 0 or not 0 < top_p <= 1:
            raise ValueError("length must be at least 1, temperature above 0, and top_p above 0 and at most 1.")
        if not prompt.strip():
            raise ValueError('PROMPT is empty; write make generate PROMPT="anna has three red".')
        if not Path(root, suite).is_dir():
            read_suite(suite)
        refusals, runs = [], find_runs(Path(root), [suite], "language")
        prompt = unicodedata.normalize("NFC", prompt)  # as texts are
        for folder in runs:
            try:
                module, loaded, _ = load_module(folder)
            except (FileNotFoundError, ValueError) as error:
                refusals.append(str(error))
                continue
            data = cast(LanguageData, loaded)
            task, model, variant, number = folder.parts[-4:]
            if unknown := unknown_in(prompt, data.text):
                refusals.append(f"{task} has no {data.text.unit} {' '.join(map(repr, unknown))}")
                continue
            generator = torch.Generator().manual_seed(seed)
            ids = [*data.text.opening, *data.text.encode(prompt).tolist()]
            added = continued(module.network, ids, length, data.context, temperature, top_p, generator)
            print(f"{task} {model}{'' if variant == 'base' else f' {variant}'} {number}")
            text = f"{prompt}{data.text.between}{data.text.decode(added)}"
            print("\n".join(f"  {visible(line)}" for line in text.split("\n")), flush=True)
        said = "; ".join(dict.fromkeys(refusals))
        if len(refusals) == len(runs):
            raise ValueError(f"no trained model can continue PROMPT: {said}.")
        if said:
            print(visible(f"left out: {said}"), file=sys.stderr)
    except ValueError as error:
        raise SystemExit(f"error: {visible(str(error))}") from None


def unknown_in(prompt: str, text: Text) -> list[str]:
    """The characters or words of a prompt that the training text does not have."""
    symbols = zip(text.split(prompt), text.encode(prompt), strict=True)
    return list(dict.fromkeys(symbol for symbol, i in symbols if i == UNK))


@torch.no_grad()
def continued(
    network: Network,
    prompt: list[int],
    length: int,
    context: int,
    temperature: float,
    top_p: float,
    generator: torch.Generator,
) -> list[int]:
    """Ids drawn one after another, each from the distribution after the last `context` ids."""
    tokens = list(prompt)
    memory = network.encode(torch.zeros(1, 0, dtype=torch.long), padded=False)
    for _ in range(length):
        features = network.decode(memory, torch.tensor([tokens[-context:]]))[0, -1]
        logits = network.project(features).float()
        logits[: len(SPECIAL_TOKENS)] = -torch.inf
        tokens.append(drawn(logits / temperature, top_p, generator))
    return tokens[len(prompt) :]


def drawn(logits: Tensor, top_p: float, generator: torch.Generator) -> int:
    """An id from the smallest set of most likely ones (V,) whose probability is at least `top_p`."""
    probabilities, ids = logits.softmax(-1).sort(descending=True)
    kept = probabilities.cumsum(-1) - probabilities < top_p
    return int(ids[torch.multinomial(probabilities * kept, 1, generator=generator)])


if __name__ == "__main__":
    command_line.run(main, positional=True)
