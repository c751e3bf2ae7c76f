import json
import math
from pathlib import Path

import pytest

from experiments.tuning.space import SPACES, points

CONFIGS = Path(__file__).parents[3] / "experiments" / "configs"
each_experiment = pytest.mark.parametrize("experiment", SPACES)


@each_experiment
@pytest.mark.parametrize("number", [1, 2, 4, 8, 16])
def test_points_lie_within_the_space_and_every_part_of_it_has_one(experiment: str, number: int) -> None:
    tried = points(experiment, number)
    for name, values in SPACES[experiment].items():
        scale = math.log if values.distribution == "log-uniform" else float
        low, high = scale(values.low), scale(values.high)
        share = [(scale(point[name]) - low) / (high - low) for point in tried]
        assert sorted(int(s * number) for s in share) == list(range(number))


@each_experiment
def test_more_points_begin_with_the_fewer(experiment: str) -> None:
    many = points(experiment, 9)
    assert [points(experiment, number) for number in range(1, 9)] == [many[:number] for number in range(1, 9)]


@each_experiment
def test_a_point_has_three_digits(experiment: str) -> None:
    for point in points(experiment, 8):
        assert all(len(f"{value:g}".lstrip("0.").replace(".", "")) <= 3 for value in point.values())


def test_the_committed_trials_are_the_first_points_as_many_for_each_system() -> None:
    """Numbers of the published runs depend on them."""
    numbers = {}
    for path in CONFIGS.glob("*/*/tuned/*/*.json"):
        experiment, trials = path.parts[-5].replace("_", "-"), json.loads(path.read_text())["trials"]
        assert [trial["values"] for trial in trials] == points(experiment, len(trials))
        numbers.setdefault(path.parent, set()).add(len(trials))
    assert all(len(found) == 1 for found in numbers.values())
