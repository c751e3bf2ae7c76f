from pathlib import Path

import pytest
import torch

from datamodules.batch import SPECIAL_TOKENS
from datamodules.language.stories import Stories
from experiments.language.generate import continued, drawn, main, unknown_in
from experiments.planning.grid import plan_tasks
from experiments.run import main as run
from tests.support.refusals import refusal
from tests.support.toy_networks import build

PROMPT = "anna has three red"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trained models of stories, and one of characters."""
    root = tmp_path_factory.mktemp("trained")
    (root / "text.txt").write_text("".join(f"{n} green bottles.\n" for n in range(400)))
    text = "--data.init_args.text={class_path: datamodules.language.text_file.TextFile, init_args: {path: %s/text.txt}}"
    for models, given in ((["lstm", "transformer"], []), (["lstm"], [text % root, "--run.task=bottles"])):
        for planned in plan_tasks(
            "language", "smoke", ["stories"], models, [0], str(root), ["--trainer.accelerator=cpu"]
        ):
            run([*planned.arguments, *given])
    return root


def refused(prompt: str, root: Path, suite: str = "smoke", **settings: float) -> str:
    return refusal(main, prompt, suite=suite, root=str(root), **settings)


def test_every_model_that_knows_the_prompt_continues_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(PROMPT, suite="smoke", length=7, root=str(root))
    printed = capsys.readouterr()
    names, texts = printed.out.splitlines()[::2], printed.out.splitlines()[1::2]
    assert names == ["stories lstm seed0", "stories transformer seed0"]
    assert all(text.startswith(f"  {PROMPT} ") and len(text.split()) == 4 + 7 for text in texts)
    assert printed.err.startswith("left out: bottles has no character 'a'")
    main(PROMPT, suite="smoke", length=7, root=str(root))
    assert capsys.readouterr().out == printed.out
    main(PROMPT, suite="smoke", length=7, seed=1, root=str(root))
    assert capsys.readouterr().out != printed.out


def test_characters_are_continued_without_blanks(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main("7 green", suite="smoke", length=5, root=str(root))
    name, *lines = capsys.readouterr().out.split("\n")
    assert name == "bottles lstm seed0"
    assert len("\n".join(line.removeprefix("  ") for line in lines).removesuffix("\n")) == len("7 green") + 5


def test_blanks_around_and_between_words_are_no_words() -> None:
    assert unknown_in(" anna  has three red ", Stories()) == []


def test_what_cannot_be_continued_is_one_sentence(root: Path, tmp_path: Path) -> None:
    assert "PROMPT is empty" in refused(" \n", root)
    assert refused("Où\0?", root).endswith("stories has no word 'Où\\x00?'.")
    assert "temperature above 0" in refused(PROMPT, root, temperature=0.0)
    assert "make language SUITE=smoke" in refused(PROMPT, tmp_path)
    assert "SUITE is 'mien'" in refused(PROMPT, tmp_path, suite="mien")


def test_draws_are_from_the_most_likely_ids_alone() -> None:
    logits = torch.tensor([0.05, 0.6, 0.3, 0.05]).log()
    generator = torch.Generator().manual_seed(0)
    for top_p, ids in ((0.5, {1}), (0.6001, {1, 2}), (1.0, {0, 1, 2, 3})):
        assert {drawn(logits, top_p, generator) for _ in range(200)} == ids


def test_no_more_than_the_context_is_read_and_no_special_token_written() -> None:
    network = build("decoder_only-lstm-shared", dtype=torch.float)

    def after(prompt: list[int]) -> list[int]:
        return continued(network, prompt, 20, 4, 1.0, 1.0, torch.Generator().manual_seed(0))

    assert after([5, 6, 7, 8]) == after([9, 9, 9, 5, 6, 7, 8])
    assert min(after([5])) >= len(SPECIAL_TOKENS)
