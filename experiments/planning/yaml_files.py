"""Configuration files: YAML of plain values alone, whatever a file asks for, or the trials that chose values."""

import json
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile, ArgumentError, ArgumentParser, Namespace

from experiments.record.read import read_json
from experiments.record.schema import Trials
from experiments.record.text import visible

MOST = 600  # characters of a parser's own words: it may repeat the whole file


class PlainLoader(yaml.SafeLoader):
    """Knows neither tags, which make objects, nor aliases, by which a few lines stand for more than fits in memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"it has an alias, *{event.anchor}")
        if getattr(event, "tag", None):
            raise yaml.YAMLError(f"it has a tag, {event.tag}")
        return super().compose_node(parent, index)


class PlainConfig(ActionConfigFile):
    """A configuration file as an argument, looked at before the parser's own reader, which deep nesting would end.

    Of a file of trials, in JSON, the values of the chosen one.
    """

    @staticmethod
    def apply_config(parser: ArgumentParser, cfg: Namespace, dest: str, value: str) -> None:
        path = Path(value)
        try:
            if path.suffix == ".json":
                ActionConfigFile.apply_config(parser, cfg, dest, json.dumps(chosen_values(path)))
                cfg[dest][-1] = path
                return
            if path.is_file():
                read_yaml(path)
            ActionConfigFile.apply_config(parser, cfg, dest, value)
        except (ValueError, ArgumentError) as error:
            said = str(error)
            raise ArgumentError(None, said if value in said else f"{value}: {said}") from error


def chosen_values(trials: Path) -> dict[str, Any]:
    """The configuration that tuning chose.

    Raises:
        ValueError: The file is not as tuning writes it.
    """
    record = read_json(trials, Trials)
    values = next(trial["values"] for trial in record["trials"] if trial["number"] == record["chosen"])
    return Namespace({record["space"][name]["key"]: value for name, value in values.items()}).as_dict()


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a file holds.

    Raises:
        ValueError: It is not YAML, holds something else, or asks for an object to be made.
    """
    try:
        content = PlainLoader(path.read_text(encoding="utf-8")).get_single_data()
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply: correct or remove it.") from error
    except (yaml.YAMLError, ValueError) as error:
        said = visible(" ".join(str(error).split()))
        raise ValueError(f"{path} is not plain YAML, correct or remove it: {said[:MOST]}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, not keys with values: correct or remove it.")
    return content


def one_sentence(error: Exception) -> str:
    """What is wrong and where, without the parser's account of every alternative it tried."""
    chatter = (
        "Does not validate",
        "Subtypes:",
        "Errors:",
        "Expected a <class 'NoneType'>",
        "Given value",
        "Problem with",
    )
    lines = (line.strip().removeprefix("- ") for line in str(error).split("\n"))
    told = [line for line in lines if line and not line.startswith(chatter)]
    of_its_kind = [
        line for line in told if not line.startswith("Import path")
    ]  # that it is of no other kind is no news
    said = visible(" ".join(of_its_kind or told))
    return said if len(said) <= MOST else f"{said[:MOST]} ..."
