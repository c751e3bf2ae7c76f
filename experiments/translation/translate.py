"""The trained models' translations of a sentence, one under another.

python -m experiments.translation.translate "A man is riding a bike." --suite full
"""

import sys
from pathlib import Path

import torch
from jsonargparse.typing import PositiveInt

from datamodules.batch import EOS
from datamodules.text_files import tidied
from experiments.launch import command_line
from experiments.launch.exit_codes import mistake
from experiments.planning.grid import read_suite
from experiments.record.system_errors import ending_in_a_sentence
from experiments.record.text import visible
from experiments.training.environment import quiet
from experiments.training.trained_run import find_runs, load_module
from models.search import search


def main(text: str, suite: str = "", n_best: PositiveInt = 1, root: str = "runs") -> None:
    """Translate with every trained model of a suite.

    Args:
        text: A sentence in the source language; `--` before it lets it begin with a hyphen.
        suite: Which suite's models; by default full if it has been run, else quick.
        n_best: Hypotheses to show for each model.
        root: Folder of the run store.
    """
    quiet()
    try:
        if suite and not Path(root, suite).is_dir():
            read_suite(suite)
    except ValueError as error:
        raise mistake(str(error)) from None
    try:
        with ending_in_a_sentence():
            runs = find_runs(Path(root), [suite] if suite else ["full", "quick"], "bleu")
            for line in translations(text, runs, n_best):
                print(visible(line))
    except ValueError as error:
        raise SystemExit(f"error: {visible(str(error))}") from None


def translations(text: str, runs: list[Path], n_best: int) -> list[str]:
    """One line per model and hypothesis: name, translation, score and log-probability.

    Raises:
        ValueError: If the text is empty, or no text.
    """
    if not text.strip():
        raise ValueError('TEXT is empty; write make translate TEXT="A man is riding a bike."')
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("TEXT is not UTF-8: convert it with iconv.")
    lines, refusals = [f"source  {text}"], []
    for folder in runs:
        try:
            module, data, decoding = load_module(folder)
        except (FileNotFoundError, ValueError) as error:
            refusals.append(f"left out: {error}")
            continue
        source = torch.tensor([[*data.source_tokenizer.encode(tidied(text)), EOS]])
        task, model, variant, seed = folder.parts[-4:]
        name = f"{task} {model}" + ("" if variant == "base" else f" {variant}") + f" {seed}"
        if sys.stderr.isatty():
            print(f"\r\033[K{name} ...\r", end="", file=sys.stderr, flush=True)
        for found in search(module.network, source, decoding, n_best)[0]:
            hypothesis = data.target_tokenizer.decode(found.tokens)
            lines.append(f"{name}  {hypothesis}  (score {found.score:.3f}, log P {found.log_prob:.2f})")
    if sys.stderr.isatty():
        print("\033[K", end="", file=sys.stderr)
    if len(refusals) == len(runs):
        raise ValueError(" ".join(refusals))
    return lines + refusals


if __name__ == "__main__":
    command_line.run(main, positional=True)
