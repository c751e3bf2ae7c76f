"""What the files of the run store must hold to be used: every check raises a ValueError with what is wrong in words."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from experiments.record.files import brief, is_number, parsed_json
from experiments.record.keys import digest


class Kind(NamedTuple):
    """What a field may hold, in words and as a test."""

    words: str
    fits: Callable[[Any], bool]


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def is_fact(value: Any) -> bool:
    """A setting or a fact about a machine, as a report shows it."""
    if isinstance(value, list):
        return all(is_fact(part) for part in value)
    return value is None or isinstance(value, str | bool) or is_number(value)


def texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


TEXT = Kind("a text", lambda value: isinstance(value, str))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
NUMBER = Kind("a number", is_number)
ANY_NUMBER = Kind(
    "a number", lambda value: is_number(value) or isinstance(value, float)
)  # a loss may be infinite or NaN
COUNT = Kind("a whole number from 0 on", lambda value: is_whole(value) and value >= 0)
AXIS = Kind("a number, a text or null", lambda value: value is None or isinstance(value, str) or is_number(value))
TIME = Kind("a time such as 2026-01-31T12:00:00+00:00", is_time)
TEXTS = Kind("a list of texts", texts)
OBJECT = Kind("an object", lambda value: isinstance(value, dict))
LIST = Kind("a list", lambda value: isinstance(value, list))
ANYTHING = Kind("anything", lambda value: True)
FACTS = Kind("an object with plain values", lambda value: isinstance(value, dict) and all(map(is_fact, value.values())))

Fields = Mapping[str, Kind]
RECORD: Fields = {
    "config_hash": TEXT,
    "command": TEXT,
    "git": FACTS,
    "versions": FACTS,
    "machine": FACTS,
    "started": TIME,
    "finished": TIME,
    "held_equal": FACTS,
    "signatures": FACTS,
    "measurements": LIST,
}
MACHINE: Fields = {"cpu": TEXT, "platform": TEXT, "gpus": TEXTS}
MEASUREMENT: Fields = {"metric": TEXT, "x_name": TEXT, "x": AXIS, "value": NUMBER, "unit": TEXT, "n": COUNT}
BLOCK: Fields = {"metric": TEXT, "x_name": TEXT, "x": AXIS, "round": COUNT, "value": NUMBER}
HISTORY: Fields = {
    "step": COUNT,
    "seconds": NUMBER,
    "target_tokens": NUMBER,
    "metric": TEXT,
    "value": ANY_NUMBER,
}
TRANSLATION: Fields = {
    "id": COUNT,
    "source": TEXT,
    "reference": TEXT,
    "hypothesis": TEXT,
    "score": ANY_NUMBER,
    "log_prob": ANY_NUMBER,
    "source_tokens": COUNT,
    "truncated": FLAG,
}
ATTENTION: Fields = {"test_set": TEXT, "id": COUNT, "source_tokens": TEXTS, "target_tokens": TEXTS, "maps": OBJECT}
TRIALS: Fields = {
    "chosen": COUNT,
    "chosen_by": TEXT,
    "space": OBJECT,
    "sampler": TEXT,
    "pruner": TEXT,
    "seed": COUNT,
    "steps": COUNT,
    "share_of_steps": NUMBER,
    "trials": LIST,
}
SPACE: Fields = {"low": NUMBER, "high": NUMBER, "distribution": TEXT}
TRIAL: Fields = {
    "number": COUNT,
    "learning_rate": NUMBER,
    "initialisation_scale": NUMBER,
    "outcome": TEXT,
    "validation_loss": ANYTHING,
    "steps": NUMBER,
}
SETTINGS = ("network", "optimisation")


def complaint(row: Any, fields: Fields) -> str:
    """What is wrong with an object, empty if nothing is."""
    if not isinstance(row, dict):
        return f"it is a {type(row).__name__}, not an object"
    if missing := [name for name in fields if name not in row]:
        return f"it has no {', '.join(missing)}"
    wrong = next((name for name, kind in fields.items() if not kind.fits(row[name])), None)
    return f"its {wrong} is {brief(row[wrong])}, not {fields[wrong].words}" if wrong else ""


def check(row: Any, fields: Fields, where: str = "") -> None:
    if wrong := complaint(row, fields):
        raise ValueError(f"{where}{wrong}")


def check_key(record: Mapping[str, Any], key: Mapping[str, Any]) -> None:
    for column, expected in key.items():
        if record.get(column) != expected:
            raise ValueError(f"its {column} is {brief(record.get(column))} but its folder says {expected!r}")


def check_result(record: Mapping[str, Any]) -> None:
    check(record, RECORD)
    if not isinstance(record["git"].get("commit"), str | None):
        raise ValueError(f"its commit is {brief(record['git']['commit'])}, not a text or null")
    check_settings(record.get("model_settings", {}))
    if record.get("digest", found := digest(record["measurements"])) != found:
        raise ValueError("its measurements are not those that the run wrote, by their digest")
    check_machine(record["machine"])
    for number, row in enumerate(record["measurements"]):
        check(row, MEASUREMENT, f"measurement {number}: ")
    check_axes(record["measurements"])


def check_machine(machine: Any) -> None:
    """Whatever is known of it, at least in a form that can be shown."""
    check({"machine": machine}, {"machine": FACTS})
    known = {name: kind for name, kind in MACHINE.items() if name in machine}
    check(machine, known, "machine: ")


def check_axes(measurements: Sequence[Mapping[str, Any]]) -> None:
    """Every place has one value, and what stands along an axis is all numbers or all texts."""
    places: set[tuple[Any, ...]] = set()
    kinds: dict[str, bool] = {"": True}
    for number, row in enumerate(measurements):
        metric, name, x = (row[column] for column in ("metric", "x_name", "x"))
        if (x is None) != (name == ""):
            raise ValueError(f"measurement {number}: its x is {brief(x)} where its x_name is {brief(name)}")
        if kinds.setdefault(name, is_number(x)) != is_number(x) and name:
            raise ValueError(f"measurement {number}: its x is {brief(x)}, of another kind than others of {brief(name)}")
        if (metric, name, x) in places:
            raise ValueError(f"measurement {number}: {brief(metric)} at {brief(name)} {brief(x)} has two values")
        places.add((metric, name, x))


def check_settings(settings: Any) -> None:
    """Results made before settings were recorded have none; those that have them hold objects of plain values."""
    arguments = settings.get("init_args", {}) if isinstance(settings, dict) else None
    parts = [arguments.get(name, {}) for name in SETTINGS] if isinstance(arguments, dict) else [None]
    if not all(FACTS.fits(part) for part in parts):
        raise ValueError("'model_settings' is not an object with objects init_args, network and optimisation")


def parsed_lines(text: str, fields: Fields) -> list[dict[str, Any]]:
    """The objects of a file that holds one a line."""
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):  # splitlines would also cut at U+2028 inside a sentence
        if not line:
            continue
        try:
            row = parsed_json(line)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
        check(row, fields, f"line {number}: ")
        rows.append(row)
    return rows


def parsed_translations(text: str) -> list[dict[str, Any]]:
    """The hypotheses of a test set, each sentence once."""
    rows = parsed_lines(text, TRANSLATION)
    seen: set[int] = set()
    for row in rows:
        if row["id"] in seen:
            raise ValueError(f"sentence {row['id']} has two hypotheses")
        seen.add(row["id"])
    return rows


def parsed_trials(text: str) -> dict[str, Any]:
    """Trials as recorded, if they are whole and the chosen one is among those that finished."""
    record: dict[str, Any] = parsed_json(text)
    check(record, TRIALS)
    for name, values in record["space"].items():
        check(values, SPACE, f"space of {name}: ")
    for number, trial in enumerate(record["trials"]):
        check(trial, TRIAL, f"trial {number}: ")
        lossless = trial["outcome"] != "finished" and trial["validation_loss"] is None
        if not (lossless or is_number(trial["validation_loss"])):
            raise ValueError(f"trial {number}: its validation_loss is {brief(trial['validation_loss'])}, not a number")
    chosen = [t for t in record["trials"] if t["number"] == record["chosen"] and t["outcome"] == "finished"]
    if not chosen:
        raise ValueError(f"trial {record['chosen']!r}, the chosen one, is not among those that finished")
    return record


def attention_complaint(sentence: Any) -> str:
    """Why a sentence's attention maps cannot be drawn, empty if they can."""
    if wrong := complaint(sentence, ATTENTION):
        return wrong
    S, T = len(sentence["source_tokens"]), len(sentence["target_tokens"])
    shapes = {"encoder": (S, S), "decoder": (T, T)}
    for name, weights in sentence["maps"].items():
        wanted = shapes.get(name.split(" ")[0], (T, S))
        try:
            array = np.asarray(weights, dtype=np.float64)
        except (ValueError, TypeError, OverflowError):  # rows of different lengths, words, or numbers without end
            return f"map {brief(name)} is not a table of numbers"
        if array.ndim != 3 or array.shape[1:] != wanted or not len(array):
            return f"map {brief(name)} has shape {array.shape[1:]} where the tokens need {wanted}"
        if not ((array >= 0) & (array <= 1)).all():
            return f"map {brief(name)} has weights outside 0 to 1"
    return ""
