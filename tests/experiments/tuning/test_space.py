import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from experiments.planning.grid import plan_long_range
from experiments.run import build_parser
from experiments.tuning.space import (
    OPTIMISATION,
    SHARED_POINTS,
    SPACE,
    distributions,
    overrides,
    rounded,
    shared_point,
    sweep_definition,
)
from tests.support.fakes.trials import subject


def test_the_shared_points_lie_within_the_space_and_every_quarter_of_it_has_one() -> None:
    points = [shared_point(number) for number in range(SHARED_POINTS)]
    for name, values in SPACE.items():
        share = [math.log(point[name] / values.low) / math.log(values.high / values.low) for point in points]
        assert sorted(int(s * SHARED_POINTS) for s in share) == list(range(SHARED_POINTS))
    assert points == [shared_point(number) for number in range(SHARED_POINTS)]


@given(st.tuples(*(st.floats(values.low, values.high) for values in SPACE.values())))
def test_rounding_stays_within_the_space_and_close(drawn: tuple[float, ...]) -> None:
    values = dict(zip(SPACE, drawn, strict=True))
    for name, value in rounded(values).items():
        assert SPACE[name].low <= value <= SPACE[name].high
        assert value == pytest.approx(values[name], rel=0.005)
        assert len(f"{value:g}".lstrip("0.").replace(".", "")) <= 3


def test_what_a_configuration_file_shows_is_what_runs() -> None:
    values = rounded(shared_point(2))
    assert yaml.safe_load(yaml.safe_dump(values)) == values
    words = [word.partition("=") for word in overrides(values)]
    assert {name.removeprefix(f"--{OPTIMISATION}."): float(value) for name, _, value in words} == values


def definition(tmp_path: Path) -> dict[str, Any]:
    return sweep_definition(subject(tmp_path).trial("sweep", (), 8), 8)


def test_the_sweep_has_the_space_of_the_trials(tmp_path: Path) -> None:
    made = definition(tmp_path)
    for name, drawn in distributions().items():
        assert isinstance(drawn, FloatDistribution)
        swept = made["parameters"][f"{OPTIMISATION}.{name}"]
        assert swept == {"distribution": "log_uniform_values", "min": drawn.low, "max": drawn.high}
        assert drawn.log
    assert len(made["parameters"]) == len(distributions())
    assert made["metric"] == {"name": "val/loss", "goal": "minimize"}
    assert made["run_cap"] == 8


def test_the_sweep_has_no_key_that_the_service_does_not_know(tmp_path: Path) -> None:
    """The keys and types of the schema of `wandb/sweeps`, which forbids additional ones."""
    known = {"name": str, "project": str, "program": str, "method": str, "metric": dict, "run_cap": int}
    made = definition(tmp_path)
    assert set(made) == {*known, "parameters", "command"}
    assert all(isinstance(made[key], kind) for key, kind in known.items())
    assert made["method"] in ("bayes", "random", "grid")
    assert yaml.safe_load(yaml.safe_dump(made)) == made


def test_an_agent_starts_a_valid_run_in_a_folder_of_its_own() -> None:
    """wandb's own code fills in the macros; the shell's part is done by hand."""
    planned = next(iter(plan_long_range("quick", ["copy"], ["lstm"], [0], "runs", [])))
    trial = replace(planned, overrides=("--evaluate_tests=false",))
    command = create_sweep_command(sweep_definition(trial, 8)["command"])
    asked = {f"{OPTIMISATION}.learning_rate": {"value": 0.003}, f"{OPTIMISATION}.initialisation_scale": {"value": 1.5}}
    place = command.index("${args}")
    words = [*command[:place], *create_sweep_command_args({"args": asked})["args"]]
    assert words[:3] == ["${env}", "sh", "-c"]
    before, _, after = words[3].partition('"$@"')
    assert before.split() == ["exec", "python", "-m", "experiments.run"]
    arguments = [*words[5:], after.strip().replace('"', "").replace("$WANDB_RUN_ID", "abc123")]
    config = build_parser().parse_args(arguments)
    assert config.run.variant == "sweep-abc123"
    assert config.model.init_args.optimisation.learning_rate == 0.003
    assert config.model.init_args.optimisation.initialisation_scale == 1.5
    assert not config.evaluate_tests
    assert not any(Path(word).is_absolute() for word in words)
