"""How the loss falls with size and with data: power laws, and how well they fit (Kaplan et al. 2020, section 3).

L = a N^-α D^-β,   that is   log L = log a - α log N - β log D,   N parameters, D tokens of training text
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from analysis.claims.verdict import (
    ABOVE,
    AT_LEAST,
    BELOW,
    INTERVAL,
    LSTM,
    TRANSFORMER,
    Claim,
    Finding,
    Line,
    Needs,
    NotRun,
    Power,
    Rule,
    above,
)
from analysis.language.evidence import EXPERIMENT, SHARES, overall, tasks_of
from analysis.page.blocks import Block, Figures, Heading, Table
from analysis.page.curves import Point, by_x
from analysis.page.labels import decimal, label, slug, with_span
from analysis.page.look import Look
from analysis.statistics.intervals import t_interval
from analysis.store import Store, System

SIZES = re.compile(r"base|(width|hidden)\d+")  # variants that differ in size alone
PARAMETERS, DATA = "parameters", "training_tokens"
SPAN = {PARAMETERS: 8.0, DATA: 3.9}  # the largest over the smallest: over less, a law is none
NAMES = {PARAMETERS: "parameters", DATA: "data"}
AXES = {PARAMETERS: "parameters", DATA: "tokens of training text"}
FEWEST = 5  # combinations of size and data: a plane goes through any three of them
FITS = 1  # deviation of losses from a law that predicts them, over what twice as much saves
MATTERS = 0.01  # an exponent: twice as much saves 0.7 % of the loss
LESS = 0.005  # a difference of exponents, or of relative deviations, that matters
SEEDS = Power("the number of seeds", AT_LEAST, 3)
APART = Power("the largest loss over the smallest", AT_LEAST, 1.06)  # losses that hardly differ fit any law
CAPTION = "A power law is a straight line here. Lines are means over seeds, bands 95 % intervals over the test text."


class Trained(NamedTuple):
    """One combination of size and data: parameters, tokens of training text, the loss of each seed."""

    parameters: float
    training_tokens: float
    loss: Point


class Law(NamedTuple):
    """One seed's law: α, β, and the standard deviation of its losses, relatively, from the law."""

    parameters: float
    training_tokens: float
    misfit: float


def texts_of(store: Store) -> list[str]:
    """Texts on which size or the share of the data was varied."""
    return [task for task in tasks_of(store) if any(len(found) > 1 for found in grid(store, task).values())]


def grid(store: Store, text: str) -> dict[System, list[Trained]]:
    """What each model was trained with, in sizes and shares of a text."""
    found: dict[System, list[Trained]] = {}
    for task in [f"{text}{share}" for share in ("", *SHARES)] if text else []:
        sizes, lengths = (overall(store, task, factor) for factor in NAMES)
        for system, loss in overall(store, task, "loss").items():
            if SIZES.fullmatch(system.variant) and system in sizes and system in lengths:
                trained = Trained(sizes[system].value, lengths[system].value, loss)
                found.setdefault(System(system.model, "base"), []).append(trained)
    return found


def by(found: Sequence[Trained], factor: str) -> list[Point]:
    """Losses along one factor, with the most of the other."""
    other = DATA if factor == PARAMETERS else PARAMETERS
    most = max(getattr(each, other) for each in found)
    points = [replace(t.loss, x=getattr(t, factor)) for t in found if getattr(t, other) == most]
    return sorted(points, key=lambda point: point.x)


def laws(found: Sequence[Trained]) -> dict[int, Law]:
    """The law of each seed that was trained with every combination, by least squares on logarithms."""
    seeds = set.intersection(*(set(trained.loss.seeds) for trained in found))
    x = np.column_stack([np.ones(len(found)), *np.log([trained[:2] for trained in found]).T])
    fitted = {}
    for seed in sorted(seeds):
        y = np.log([trained.loss.seeds[seed] for trained in found])
        plane = np.linalg.lstsq(x, y)[0]
        off = float(np.sqrt(np.sum((y - x @ plane) ** 2) / (len(y) - 3)))
        fitted[seed] = Law(-plane[1], -plane[2], off)
    return fitted


def all_claims(store: Store) -> list[Claim]:
    claims = []
    for text in texts_of(store) or [""]:
        where, source = f" ({text})" if text else "", "Kaplan et al. 2020, section 3"
        needs, figures = Needs(EXPERIMENT, text, "loss"), {factor: slug("scaling", text, factor) for factor in NAMES}
        for factor, name in NAMES.items():
            better = f"Twice the {name}, predictably better: the Transformer{where}"
            claims.append(Claim(better, source, needs, predictable(store, text, factor), figures[factor]))
        for said, part, systems, effect in (
            ("More parameters help the Transformer more than the LSTM", PARAMETERS, (TRANSFORMER, LSTM), "exponent"),
            (
                "The LSTM gets better with size and data less predictably than the Transformer",
                "misfit",
                (LSTM, TRANSFORMER),
                "how far, relatively, losses are from their law",
            ),
        ):
            rule = more_of(store, text, part, systems, effect)
            claims.append(Claim(f"{said}{where}", source, needs, rule, figures[PARAMETERS]))
    return claims


def predictable(store: Store, text: str, factor: str) -> Rule:
    def measure() -> Finding:
        found, fitted = fitted_to(store, text, TRANSFORMER)
        exponents = [getattr(law, factor) for law in fitted.values()]
        off = t_interval([law.misfit / (1 - 2**-x) for law, x in zip(fitted.values(), exponents, strict=True)])
        exponent, misfit = t_interval(exponents), t_interval([law.misfit for law in fitted.values()])
        saved = f"{decimal(100 * (1 - 2**-exponent.value), 2)} % saved by twice as much"
        reason = (
            f"exponent {decimal(exponent.value, 3)}, {saved}; losses {decimal(100 * misfit.value, 2)} % from their law"
        )
        power = [wide(found, factor), apart([point.value for point in by(found, factor)]), len(fitted)]
        return Finding(reason, exponent, [exponent, off], power)

    lines = [Line(INTERVAL, ABOVE, MATTERS), Line("losses' distance from the law over what is saved", BELOW, FITS)]
    return Rule("the exponent of the Transformer's law", lines, measure, [width(factor), APART, SEEDS])


def more_of(store: Store, text: str, part: str, systems: tuple[System, System], effect: str) -> Rule:
    """A part of the law of one model minus that of the other, seed by seed."""

    def measure() -> Finding:
        both = [fitted_to(store, text, system) for system in systems]
        (found, ours), (others, rivals) = both
        seeds = sorted(ours.keys() & rivals.keys())
        if len(found) != len(others) or not seeds:
            raise NotRun(f"the {label(LSTM)} and the {label(TRANSFORMER)} in the same combinations, with equal seeds")
        more = t_interval([getattr(ours[seed], part) - getattr(rivals[seed], part) for seed in seeds])
        means = (float(np.mean([getattr(law, part) for law in fitted.values()])) for _, fitted in both)
        reason = "; ".join(f"{label(s)} {decimal(mean, 4)}" for s, mean in zip(systems, means, strict=True))
        spans = [min(wide(each, factor) for each, _ in both) for factor in NAMES]
        least = min(apart([trained.loss.value for trained in each]) for each, _ in both)
        return Finding(reason, more, power=[*spans, least, len(seeds)])

    first, second = map(label, systems)
    effect = f"{effect}: the {first}'s minus the {second}'s, seed by seed"
    return Rule(effect, above(LESS), measure, [*map(width, NAMES), APART, SEEDS])


def width(factor: str) -> Power:
    return Power(f"the largest number of {AXES[factor]} over the smallest", AT_LEAST, SPAN[factor])


def wide(found: Sequence[Trained], factor: str) -> float:
    values = [getattr(trained, factor) for trained in found]
    return float(max(values) / min(values))


def apart(losses: Sequence[float]) -> float:
    return max(losses) / min(losses)


def fitted_to(store: Store, text: str, system: System) -> tuple[list[Trained], dict[int, Law]]:
    """What the laws of a model are fitted to, and each seed's law.

    Raises:
        NotRun: There are too few combinations of size and data.
    """
    found = grid(store, text).get(system, [])
    if len(found) < FEWEST:
        raise NotRun(f"the {label(system)} as a language model in {FEWEST} combinations of size and data")
    fitted = laws(found)
    if not fitted:
        raise NotRun(f"the {label(system)} as a language model with one seed in every combination of size and data")
    return found, fitted


def blocks(store: Store, look: Look, text: str) -> list[Block]:
    """A figure for each factor that was varied on a text, and the laws."""
    found = grid(store, text)
    figures, rows = [], []
    for factor, name in NAMES.items():
        lines = {system: by(trained, factor) for system, trained in found.items()}
        lines = {system: points for system, points in lines.items() if len(points) > 1}
        if lines:
            title, figure = f"Loss by {name}", slug("scaling", text, factor)
            axis = AXES[factor]
            figures.append(by_x(figure, title, look, lines, {}, axis, "loss (nats)", share=False, log_y=True))
    for system, trained in found.items():
        if len(trained) >= FEWEST and (fitted := laws(trained)):
            alpha, beta, misfit = (t_interval(values) for values in zip(*fitted.values(), strict=True))
            saved = [f"{decimal(100 * (1 - 2**-each.value), 1)} %" for each in (alpha, beta)]
            off = f"{decimal(100 * misfit.value, 2)} %"
            rows.append([label(system), with_span(alpha, 3), saved[0], with_span(beta, 3), saved[1], off])
    if not figures:
        return []
    header = ["model", "α (parameters)", "saved by doubling", "β (data)", "saved by doubling", "distance from the law"]
    laws_found = "The law L = a N^-α D^-β, fitted to each seed: means over seeds with t intervals."
    return [Heading("Scaling"), Figures(CAPTION, figures), *([Table(laws_found, header, rows)] if rows else [])]
