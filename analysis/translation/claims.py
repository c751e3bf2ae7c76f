"""The claims about translation: who makes each, the measurements it needs, its rule and its figure."""

from analysis.claims.verdict import ATTENTION, BAHDANAU, LSTM, TRANSFORMER, VASWANI, Claim, Needs
from analysis.page.prose import PROSE
from analysis.store import Store
from analysis.translation import heads, rules
from analysis.translation.bleu import EXPERIMENT

READING = PROSE["claims"]


def all_claims(store: Store) -> list[Claim]:
    """Every claim on every test set that was translated, or once where none was."""
    better = (
        ("The Transformer translates better than the LSTM + attention", VASWANI, TRANSFORMER, ATTENTION),
        ("The Transformer translates better than the LSTM", VASWANI, TRANSFORMER, LSTM),
        ("Attention on top of the RNN improves its translations", BAHDANAU, ATTENTION, LSTM),
    )
    longer = "One fixed vector must hold everything: the LSTM alone loses more BLEU on long sentences"
    translated = sets_translated(store) or [("", "")]
    rows = [
        (text, source, rules.is_better(store, *test_set, first, second), *test_set)
        for text, source, first, second in better
        for test_set in translated
    ]
    rows += [
        (longer, f"{BAHDANAU}, Figure 2", rules.loses_more(store, *test_set), *test_set) for test_set in translated
    ]
    claims = [
        Claim(
            f"{text} ({task}, {name})" if task else text,
            source,
            Needs(EXPERIMENT, task, "bleu"),
            rule,
            f"length-{task}-{name}",
        )
        for text, source, rule, task, name in rows
    ]
    return [*claims, several(store)]


def sets_translated(store: Store) -> list[tuple[str, str]]:
    """Task and name of each, in the order in which they were recorded."""
    rows = store.rows(EXPERIMENT, metric="bleu")
    return list(dict.fromkeys(zip(rows["task"], rows["x"], strict=True)))


def several(store: Store) -> Claim:
    task = next(iter(store.rows(heads.EXPERIMENT)["task"]), "")
    text = "Several heads see several relations (in translation)"
    needs = Needs(heads.EXPERIMENT, task, "attention of each head")
    return Claim(text, f"{VASWANI}, 3.2.2", needs, rules.heads_apart(store, task), f"attention-heads-{task}")
