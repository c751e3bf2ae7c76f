"""The claims about translation: who makes each, the measurements it needs, its rule and its figure."""

from analysis.claims.verdict import ATTENTION, BAHDANAU, LSTM, TRANSFORMER, VASWANI, Claim, Needs
from analysis.page.prose import PROSE
from analysis.store import Store, System
from analysis.translation import heads, rules
from analysis.translation.bleu import EXPERIMENT
from analysis.translation.rules import MATTERS

READING = PROSE["claims"]
ONE_STACK = System("transformer", "decoder-only")


def all_claims(store: Store) -> list[Claim]:
    """Every claim on every task that was translated, or once where none was."""
    better = (
        ("The Transformer translates better than the LSTM + attention", VASWANI, TRANSFORMER, ATTENTION, 0),
        ("The Transformer translates better than the LSTM", VASWANI, TRANSFORMER, LSTM, 0),
        ("Attention on top of the RNN improves its translations", BAHDANAU, ATTENTION, LSTM, 0),
        ("One stack translates as well as encoder and decoder", "Zhang et al. 2022", ONE_STACK, TRANSFORMER, -MATTERS),
    )
    longer = "One fixed vector must hold everything: the LSTM alone loses more BLEU on long sentences"
    translated = sets_translated(store) or {"": [""]}
    rows = [
        (text, source, task, rules.is_better(store, task, names, first, second, least))
        for text, source, first, second, least in better
        for task, names in translated.items()
    ]
    of_length = f"{BAHDANAU}, Figure 2"
    rows += [(longer, of_length, task, rules.loses_more(store, task, names)) for task, names in translated.items()]
    claims = [
        Claim(
            f"{text} ({task})" if task else text,
            source,
            Needs(EXPERIMENT, task, "bleu"),
            rule,
            f"length-{task}-{translated[task][0]}",
        )
        for text, source, task, rule in rows
    ]
    return [*claims, several(store)]


def sets_translated(store: Store) -> dict[str, list[str]]:
    """The test sets of each task, in the order in which they were recorded."""
    rows = store.rows(EXPERIMENT, metric="bleu")
    return {task: list(dict.fromkeys(rows["x"][rows["task"] == task])) for task in dict.fromkeys(rows["task"])}


def several(store: Store) -> Claim:
    task = next(iter(store.rows(heads.EXPERIMENT)["task"]), "")
    text = "Several heads see several relations (in translation)"
    needs = Needs(heads.EXPERIMENT, task, "attention of each head")
    return Claim(text, f"{VASWANI}, 3.2.2", needs, rules.heads_apart(store, task), f"attention-heads-{task}")
