"""The schema of everything that a run's folder holds: a type for each file, by which it is written, read and checked.

Values are taken as they are or refused, never converted: a whole number stays one, and text is no number. A field that
the schema does not name is not read.
"""

from datetime import datetime
from typing import Annotated, Any, NoReturn, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, GetPydanticSchema
from pydantic_core import PydanticCustomError, core_schema
from typing_extensions import TypedDict

from experiments.record.keys import digest

MOST = 17 * 10**307  # nearly the largest float
WHOLE = core_schema.int_schema(ge=-MOST, le=MOST)
FINITE = core_schema.float_schema(allow_inf_nan=False)
TEXT = core_schema.str_schema()
NULL = core_schema.none_schema()


def one_of(words: str, *choices: core_schema.CoreSchema) -> GetPydanticSchema:
    """A choice among types that has one message for all of them."""
    message = f"Input should be {words}"
    schema = core_schema.union_schema(list(choices), custom_error_type="type", custom_error_message=message)
    return GetPydanticSchema(lambda *_: schema)


def refuse(message: str) -> NoReturn:
    raise PydanticCustomError("record", "{message}", {"message": message})


def with_zone(time: str) -> str:
    try:
        if datetime.fromisoformat(time).tzinfo:
            return time
    except ValueError:
        pass
    refuse("Input should be a time such as 2026-01-31T12:00:00+00:00")


def plain(facts: dict[str, Any]) -> dict[str, Any]:
    for name, value in facts.items():
        if not is_plain(value):
            refuse(f"{name!r} should be a number, a text, true, false, null or a list of these")
    return facts


def is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(is_plain, value))
    return value is None or isinstance(value, str) or (isinstance(value, int | float) and abs(value) <= MOST)


Count = Annotated[int, Field(ge=0, lt=2**63)]
Number = Annotated[float, one_of("a number", WHOLE, FINITE)]
Loss = Annotated[float, one_of("a number", WHOLE, core_schema.float_schema())]  # it may be infinite or NaN
Axis = Annotated[float | str | None, one_of("a number, a text or null", WHOLE, FINITE, TEXT, NULL)]
Time = Annotated[str, AfterValidator(with_zone)]
Facts = Annotated[dict[str, Any], AfterValidator(plain)]


class Key(TypedDict):
    """The columns that name a run."""

    suite: str
    experiment: str
    task: str
    model: str
    variant: str
    seed: Count


class Measurement(TypedDict):
    """One number of a result."""

    metric: str
    value: Number
    unit: str
    n: Count
    x_name: str
    x: Axis


class Git(TypedDict):
    commit: str | None
    dirty: bool


class Machine(TypedDict):
    cpu: str
    cores: Count | None
    threads: Count
    memory_gib: Number
    gpus: list[str]
    platform: str


class Arguments(TypedDict):
    network: NotRequired[Facts]
    optimisation: NotRequired[Facts]


class ModelSettings(TypedDict):
    init_args: NotRequired[Arguments]


def along_axes(measurements: list[Measurement]) -> list[Measurement]:
    """Every place has one value, and an axis has numbers or texts, not both."""
    places = set()
    kinds: dict[str, bool] = {}
    for number, row in enumerate(measurements):
        metric, name, x = row["metric"], row["x_name"], row["x"]
        if (x is None) != (name == ""):
            refuse(f"{number} has the x {x!r} and the x_name {name!r}")
        is_text = isinstance(x, str)
        if kinds.setdefault(name, is_text) != is_text:
            refuse(f"{number} has the x {x!r}, of another type than others of {name!r}")
        if (metric, name, x) in places:
            refuse(f"{number} is a second value of {metric!r} at {name!r} {x!r}")
        places.add((metric, name, x))
    return measurements


class Finished(Key):
    """result.json: written last, by which a run is finished."""

    config_hash: str
    command: str
    git: Git
    versions: dict[str, str]
    machine: Machine
    started: Time
    finished: Time
    model_settings: NotRequired[ModelSettings]
    held_equal: Facts
    signatures: Facts
    measurements: Annotated[list[Measurement], AfterValidator(along_axes)]
    digest: NotRequired[str]


def as_measured(result: Finished) -> Finished:
    rows = result["measurements"]
    if "digest" in result and result["digest"] != digest(rows):
        refuse("its measurements are not those that the run wrote, by their digest")
    return result


Result = Annotated[Finished, AfterValidator(as_measured)]


class Failure(Key):
    """failure.json: why a run did not finish, and how to try again."""

    error: str
    traceback: str
    log: str
    command: str


class Plan(TypedDict):
    """planned-*.json of a suite: folders of its runs below that of all suites; those in `left` are not finished yet."""

    started: Time
    runs: list[str]
    left: list[str]


class Identity(TypedDict, total=False):
    """identity.json: the settings that decide a run's numbers, as they are nested, and SHA-256 of its files by name."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    contents: dict[str, str | None]


class History(TypedDict):
    """A line of metrics.jsonl: a metric of training as it happened."""

    step: Count
    seconds: Number
    target_tokens: Count
    metric: str
    value: Loss


class Block(TypedDict):
    """A line of blocks.jsonl: a timed block of a speed run; `seconds` is its time per update or sentence."""

    metric: str
    x_name: str
    x: Axis
    round: Count
    seconds: NotRequired[Number]
    value: Number


class Translation(TypedDict):
    """A line of hypotheses/TEST_SET.jsonl."""

    id: Count
    source: str
    reference: str
    hypothesis: str
    score: Loss
    log_prob: Loss
    source_tokens: Count
    truncated: bool


class Pair(TypedDict):
    """A line of pairs.jsonl: a translation and a wrong one, both scored."""

    id: str
    source: str
    reference: str
    contrast: str
    distance: Count
    log_prob_reference: Loss
    log_prob_contrast: Loss


class Attended(TypedDict):
    """A sentence of attention.json.

    Maps of the source are (heads, T, S), the encoder's own (heads, S, S), the decoder's own (heads, T, T).
    """

    test_set: str
    id: Count
    source_tokens: list[str]
    target_tokens: list[str]
    maps: dict[str, list[list[list[Annotated[float, Field(ge=0, le=1)]]]]]


def of_its_tokens(sentence: Attended) -> Attended:
    S, T = len(sentence["source_tokens"]), len(sentence["target_tokens"])
    shapes = {"encoder": (S, S), "decoder": (T, T)}
    for name, heads in sentence["maps"].items():
        rows, columns = shapes.get(name.partition(" ")[0], (T, S))
        if not heads or any(len(head) != rows or any(len(row) != columns for row in head) for head in heads):
            refuse(f"map {name!r} is not a table of {rows} × {columns} weights for each head, as its tokens need")
    return sentence


Attention = list[Annotated[Attended, AfterValidator(of_its_tokens)]]


class WordCounts(TypedDict):
    """target_word_counts.json: how often words occur in the training target text."""

    tokeniser: str
    counts: dict[str, Count]


class Range(TypedDict):
    key: str
    low: Number
    high: Number
    distribution: str


class Trial(TypedDict):
    number: Count
    values: dict[str, Number]
    outcome: str
    validation_loss: Annotated[float | None, one_of("a number or null", WHOLE, FINITE, NULL)]
    reports: list[tuple[Count, float | None]]  # step and validated metric
    steps: Number


class Tuned(TypedDict):
    """trials.json: the trials that a run's settings were chosen from."""

    chosen: Count
    chosen_by: str
    space: dict[str, Range]
    sampler: str
    pruner: str
    seed: Count
    steps: Count
    share_of_steps: Number
    trials: list[Trial]


def with_the_chosen(record: Tuned) -> Tuned:
    finished = [trial for trial in record["trials"] if trial["outcome"] == "finished"]
    if any(trial["validation_loss"] is None for trial in finished):
        refuse("a finished trial has no validation_loss")
    chosen = [trial for trial in finished if trial["number"] == record["chosen"]]
    if not chosen:
        refuse(f"trial {record['chosen']}, the chosen one, is not among those that finished")
    if unknown := chosen[0]["values"].keys() - record["space"].keys():
        refuse(f"the chosen trial has values of {', '.join(sorted(unknown))}, which are not in the space")
    return record


Trials = Annotated[Tuned, AfterValidator(with_the_chosen)]
