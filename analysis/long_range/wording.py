"""Names of tasks and words for their axes: "longest gap" but "most pairs", "at length 32" but "with 4 pairs"."""

from analysis.page.labels import counted

TITLES = {
    "copy": "Copy",
    "reverse": "Reverse",
    "recall": "Recall",
    "associative-recall": "Associative recall",
    "selective-copy": "Selective copy",
    "adding": "Adding",
    "parity": "Parity",
    "two-keys": "Two keys",
    "agreement": "Agreement",
    "senses": "Senses of a word",
    "inference": "Inference",
}
QUESTIONS = {
    "copy": "The target repeats the source. How much fits into what the decoder can see of it?",
    "reverse": "The target is the source backwards: as much to hold as in a copy, in another order.",
    "recall": "A few symbols, then filler that means nothing, then the question which symbols they were. How far back "
    "can a model reach?",
    "associative-recall": "The source lists pairs of a key and a value, then, where there is a gap, filler that means "
    "nothing; the decoder is fed the keys in another order and must answer each with its value. How many pairs can a "
    "model hold, and does it know which value belongs to which key?",
    "selective-copy": "Some symbols are at random places among blanks; the target is the symbols without the blanks.",
    "adding": "Two of many numbers between 0 and 1 are marked; the target is their sum. An answer counts as right "
    "within 0.04 of the sum, as in Hochreiter and Schmidhuber 1997; the squared error says how far off it is.",
    "parity": "Is the number of ones in a string of bits odd? Every bit counts, so every bit must be read.",
    "two-keys": "The source lists keys with their values; one token asks for the values of two of them. Can a model "
    "look at two places at once and know which is which?",
    "agreement": "A verb must agree in number with its subject, with other nouns in between.",
    "senses": "In “the bank _ again by the river” the place tells what the bank did. It comes so many words after the "
    "noun, or, below 0, before it; nearer to the noun can be another's place. Does the noun's own state know its "
    "sense?",
    "inference": "Two formulas of propositional logic: does one follow from the other, exclude it, or say the same? "
    "The answer follows from words, their order and their brackets together.",
}
FURTHER = {
    "associative-recall": "Arora et al. 2023 (Zoology) have pairs, filler and queries in one sequence, of 8,192 kinds "
    "of tokens; here the source holds the pairs, of 16 keys and 16 values, and the decoder is fed the queries."
}
COUNTS = {name: name for name in ("symbols", "pairs", "keys", "nouns", "attractors", "blanks", "operators")} | {
    "content": "symbols"
}
LENGTHS = ("gap", "length", "distance")


def is_kind_of(task: str, known: str) -> bool:
    return task == known or task.startswith(f"{known}-")


def title(task: str) -> str:
    if task.startswith("contrastive-"):
        return f"Agreement in translation ({task.removeprefix('contrastive-')})"
    known = next((name for name in TITLES if is_kind_of(task, name)), "")
    kind = task.removeprefix(known).replace("-", " ").strip()
    return ", ".join(filter(None, (TITLES[known], kind))) if known else task


def question(task: str) -> str:
    if task.startswith("contrastive-"):
        return (
            "Translation models are shown a right translation and one whose verb has the wrong number: which do they "
            "find more probable? By words between subject and verb."
        )
    text = next((text for name, text in QUESTIONS.items() if is_kind_of(task, name)), "")
    return " ".join(filter(None, (text, FURTHER.get(task, ""))))


def quantity(vary: str) -> str:
    """The gap, the number of pairs."""
    return f"number of {COUNTS[vary]}" if vary in COUNTS else vary


def amount(vary: str, x: float) -> str:
    """gap 16, 4 pairs"""
    return counted(x, COUNTS[vary][:-1], COUNTS[vary]) if vary in COUNTS else f"{vary} {x:g}"


def at(vary: str, x: float) -> str:
    """at gap 16, with 4 pairs"""
    return f"{'with' if vary in COUNTS else 'at'} {amount(vary, x)}"


def most(vary: str) -> str:
    """longest gap, most pairs"""
    measure = f"{'longest' if vary in LENGTHS else 'largest'} {vary}"
    return f"most {COUNTS[vary]}" if vary in COUNTS else measure


def heading(name: str) -> str:
    """An axis as recorded, "pairs, gap 52, keys 512", as "number of pairs (gap 52, 512 keys)"."""
    vary, *fixed = name.split(", ")
    return f"{quantity(vary)} ({settings(', '.join(fixed))})" if fixed else quantity(vary)


def settings(text: str) -> str:
    """ "gap 52, keys 512" as "gap 52, 512 keys"."""
    return ", ".join(map(setting, text.split(", ")))


def setting(text: str) -> str:
    """ "keys 512" as "512 keys"; what is no name and number stays as it is."""
    name, _, value = text.rpartition(" ")
    return amount(name, int(value)) if value.isdecimal() else text
