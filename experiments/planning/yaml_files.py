"""YAML files: plain values alone, whatever a file asks for."""

from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile, ArgumentError, ArgumentParser, Namespace

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
    """A configuration file as an argument, looked at before the parser's own reader, which deep nesting would end."""

    @staticmethod
    def apply_config(parser: ArgumentParser, cfg: Namespace, dest: str, value: str) -> None:
        path = Path(value)
        try:
            if path.is_file():
                read_yaml(path)
            ActionConfigFile.apply_config(parser, cfg, dest, value)
        except (ValueError, ArgumentError) as error:
            said = str(error)
            raise ArgumentError(None, said if value in said else f"{value}: {said}") from error


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
