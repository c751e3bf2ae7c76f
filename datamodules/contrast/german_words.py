"""German words known to `pairs`, from german_words.yaml: verbs in both numbers, and function words."""

from pathlib import Path
from typing import Literal

import yaml

WORDS: dict[str, str] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PLURAL_OF = {singular: plural for singular, plural in (pair.split() for pair in WORDS["verbs"].split(","))}
SINGULAR_OF = {plural: singular for singular, plural in PLURAL_OF.items()}
COPULAS = words(WORDS["copulas"])
PLURAL_DETERMINERS = words(WORDS["plural determiners"])
# Number of a noun by the first word of its sentence; None if only the verb shows it.
NUMBER: dict[str, Literal["singular", "plural"] | None] = {
    **dict.fromkeys(words("ein eine der das dieser dieses jeder jede jedes"), "singular"),
    **dict.fromkeys((*PLURAL_DETERMINERS, "ein paar"), "plural"),
    **dict.fromkeys(("die", "diese"), None),
}
PRONOUNS = {  # relative pronouns for a noun after these words; otherwise "die"
    "ein": words("der das"),
    **dict.fromkeys(words("der dieser jeder"), words("der")),
    **dict.fromkeys(words("das dieses jedes"), words("das")),
}
NEVER_SUBJECT = words(WORDS["never a subject"])
DETERMINERS = (
    PLURAL_DETERMINERS
    | (NEVER_SUBJECT - {"sich"})
    | words("ein eine die das diese dieser dieses jede jeder jedes sein seine ihr ihre kein keine alle andere")
)
PREPOSITIONS = words(WORDS["prepositions"])
CONJUNCTIONS = words(WORDS["conjunctions"])
ADVERBS = words(WORDS["adverbs"])
RELATIVE = words(WORDS["relative pronouns"])
PLURAL_NOUNS = words(WORDS["plural nouns"])
COLLECTIVE = tuple(words(WORDS["collective"]))
MASCULINE = tuple(words(WORDS["masculine"]))
UNCOUNTED = words(WORDS["uncounted"])
