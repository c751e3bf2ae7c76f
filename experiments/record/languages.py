"""How a language is written, as far as scores depend on it. Codes may have a script or a region: zh-Hant, pt-br."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from sacrebleu.metrics import BLEU

USUAL = "13a"  # sacreBLEU's tokeniser for languages whose words are separated by blanks
CHARACTERS = "char"
# Other codes of the same languages, and the country codes that are often taken for them.
SAME = {"cmn": "zh", "zho": "zh", "chi": "zh", "yue": "zh", "cn": "zh", "jpn": "ja", "jp": "ja", "kor": "ko"}
SAME |= {"tha": "th", "lao": "lo", "khm": "km", "mya": "my", "bur": "my", "bod": "bo", "tib": "bo", "dzo": "dz"}
TOKENISERS = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
UNSEPARATED = ("zh", "ja", "th", "lo", "km", "my", "bo", "dz")  # no blanks between words


def primary(language: str) -> str:
    """The language without script and region, as one code of two letters where it has several."""
    code = re.split("[-_]", language.lower())[0]
    return SAME.get(code, code)


def separates_words(language: str) -> bool:
    return primary(language) not in UNSEPARATED


def tokeniser_for(language: str) -> str:
    """The tokeniser of BLEU for a target language: characters where no word tokeniser fits, or it is not installed."""
    name = TOKENISERS.get(primary(language), USUAL if separates_words(language) else CHARACTERS)
    return name if is_installed(name) else CHARACTERS


@cache
def is_installed(tokeniser: str) -> bool:
    """Whether sacreBLEU can use it here: those of Japanese and Korean need a dictionary."""
    try:
        BLEU(tokenize=tokeniser)
    except RuntimeError:
        return False
    return True


@cache
def _splitter(tokeniser: str) -> Callable[[str], str]:
    split: Callable[[str], str] = BLEU(tokenize=tokeniser).tokenizer
    return split


def words(sentence: str, tokeniser: str) -> list[str]:
    """The words that BLEU counts, punctuation included, case kept."""
    return _splitter(tokeniser)(sentence.rstrip()).split()


def tokeniser_in(signatures: Mapping[str, Any]) -> str:
    """The tokeniser that a run's BLEU was measured with, by its signature."""
    named = re.search(r"\btok:([^|]+)", str(signatures.get("bleu", "")))  # its version may follow
    known = (*TOKENISERS.values(), CHARACTERS)
    return next((name for name in known if named and named[1].startswith(name)), USUAL)
