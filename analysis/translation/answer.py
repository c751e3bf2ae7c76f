"""Which model translates better: the Transformer against the LSTM with attention, on the first test set."""

from collections.abc import Mapping, Sequence

from analysis.claims.verdict import ATTENTION, CENTRAL, TRANSFORMER, StillLearning
from analysis.page.blocks import Answer
from analysis.page.labels import counted, decimal, label, listing, ordered
from analysis.page.look import Look
from analysis.store import Store, System
from analysis.translation.bleu import EXPERIMENT, Outcome, TestSet
from analysis.translation.figures import Bin, scores
from analysis.translation.rules import VALIDATED

QUESTION = "Which translates better?"
FLOOR = 5.0  # BLEU; whoever stays below it has hardly learned to translate


def answer(store: Store, look: Look, results: Sequence[TestSet]) -> Answer:
    if not results:
        ran = store.ran(EXPERIMENT)
        missing = "no translation run has finished yet" if ran else f"the suite {store.suite} has no translation runs"
        return Answer(QUESTION, f"No answer: {missing}.")
    first = results[0]
    found = {s: first.outcomes[s] for s in reversed(ordered(first.outcomes)) if s.variant == "base"} or first.outcomes
    text = central(store, first)
    text = " ".join(filter(None, (text, others(found, bool(text)))))
    seeds = counted(max(len(outcome.bleu) for outcome in found.values()), "seed", "seeds")
    caption = (
        f"BLEU from 0 to 100, higher is better; bars are 95 % intervals over test sentences, dots seeds ({seeds})."
    )
    drawn = {s: Bin(outcome.interval, list(outcome.bleu.values())) for s, outcome in found.items()}
    title = f"{first.task}, {first.name}"
    figure = scores(f"answer-bleu-{first.task}-{first.name}", title, look, drawn)
    return Answer(QUESTION, text, [figure], caption)


def central(store: Store, results: TestSet) -> str:
    """The Transformer against the LSTM with attention; empty where one of them is missing."""
    found = [results.outcomes[system] for system in CENTRAL if system in results.outcomes]
    if len(found) < 2:
        return ""
    against = f"{decimal(found[0].mean)} against {decimal(found[1].mean)} BLEU"
    pair = next((pair for pair in results.pairs if {pair.first, pair.second} == {*CENTRAL}), None)
    if pair is None:
        return f"{label(TRANSFORMER)} against {label(ATTENTION)}: {against}, not on the same sentences."
    if pair.better is None:
        return f"No clear difference between the {label(TRANSFORMER)} and the {label(ATTENTION)}: {against}."
    worse = ATTENTION if pair.better == TRANSFORMER else TRANSFORMER
    verb = "better" if pair.better == TRANSFORMER else "worse"
    text = f"The {label(TRANSFORMER)} translates {verb} than the {label(ATTENTION)}: {against}"
    gap = abs(pair.comparison.difference.value)
    learning = StillLearning(store, results.task, VALIDATED, {}).gains(worse, gap)
    return f"{text}, but the {label(worse)} was still learning when training ended." if learning else f"{text}."


def others(found: Mapping[System, Outcome], compared: bool) -> str:
    rest = {system: outcome for system, outcome in found.items() if not compared or system not in CENTRAL}
    if not rest:
        return ""
    each = [f"{label(s)} {decimal(o.mean)}{' (hardly learned)' if o.mean < FLOOR else ''}" for s, o in rest.items()]
    return f"{'Others' if compared else 'BLEU'}: {listing(each)}."
