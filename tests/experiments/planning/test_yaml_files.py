from pathlib import Path

import pytest
from jsonargparse import ArgumentError, ArgumentParser

from experiments.planning.yaml_files import MOST, PlainConfig, one_sentence, read_yaml

NOT_PLAIN = ["a: !!python/name:os.system", "- 1", "a: [", "a: &a [*a, \x00]", "\x9b", "", "a: !own 1", 5000 * "["]
NOT_PLAIN += [
    "a: &one [1]\nb: *one",
    "a: !!str 1",
    "a: !!bool x",
    f"a: {'9' * 5000}",
    "a: 2001-99-99",
    "[a]: 1\n{b: 1}: 2",
]


@pytest.mark.parametrize("content", [*(text.encode() for text in NOT_PLAIN), "a: Straße".encode("latin-1")])
def test_what_is_no_plain_mapping_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="correct or remove it") as refused:
        read_yaml(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"some\.yaml"):
        read_yaml(tmp_path / "some.yaml")


def parser() -> ArgumentParser:
    made = ArgumentParser(exit_on_error=False)
    made.add_argument("-c", action=PlainConfig)
    made.add_argument("--width", type=int)
    return made


def test_a_plain_configuration_is_taken_and_a_later_argument_overrides_it(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("width: 3\n")
    assert parser().parse_args(["-c", str(path)]).width == 3
    assert parser().parse_args(["-c", str(path), "--width=4"]).width == 4


@pytest.mark.parametrize("content", ["[" * 100_000, "width: &a [*a]", "width: ._", "width: !!int x"])
def test_a_configuration_that_is_not_plain_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text(content)
    with pytest.raises(ArgumentError) as refused:
        parser().parse_args(["-c", str(path)])
    assert str(path) in one_sentence(refused.value)


def test_a_parser_that_repeats_a_whole_file_is_cut_short() -> None:
    assert len(one_sentence(ValueError("x" * 100_000))) < MOST + 10
