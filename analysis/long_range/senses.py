"""What the two senses of a word attend to: maps of sentences that differ in their places alone."""

from collections.abc import Sequence

from analysis.attention.maps import Sentences, blocks, by_key, shared, with_maps
from analysis.long_range.axes import EXPERIMENT
from analysis.page.blocks import Block, Heading, Paragraph
from analysis.page.labels import label, listing
from analysis.page.look import VariantLook
from analysis.page.run_sources import chosen
from analysis.store import Store

CAPTION = "Rows look at columns, both are words of the sentence"
GAP = "_"


def attention(store: Store, task: str) -> list[Block]:
    """Of each model the head that looks most from the noun to its place, every other a touch away."""
    kept = {system: by_key(store.attention(run)) for system, run in chosen(store, EXPERIMENT, task).items()}
    found = shared(with_maps(kept))
    keys = list(next(iter(found.values()), {}))
    if not keys:
        return []
    shown = {system: to_the_place(sentences, keys[0]) for system, sentences in found.items()}
    seen = [f"{said(found[system], keys[:2])} in the {label(system)}" for system in found]
    noun = looked(found[next(iter(found))], keys[0], *shown[next(iter(found))])[0]
    text = f"Attention from “{noun}” to its place, of the head that gives most: {'; '.join(seen)}."
    look = VariantLook(list(found))
    maps = blocks(look, task, CAPTION, found, keys[0], shown)
    return [Heading("What the two senses attend to"), Paragraph(text), *maps]


def said(sentences: Sentences, keys: Sequence[tuple[str, int]]) -> str:
    """99 % to “river” (head 4 of encoder layer 3)"""
    parts = []
    for key in keys:
        name, head = to_the_place(sentences, key)
        _, place, share = looked(sentences, key, name, head)
        parts.append(f"{100 * share:.0f} % to “{place}” (head {head + 1} of {name})")
    return listing(parts)


def to_the_place(sentences: Sentences, key: tuple[str, int]) -> tuple[str, int]:
    maps = sentences[key]["maps"]
    heads = [(name, head) for name in maps if name.startswith("encoder") for head in range(len(maps[name]))]
    return max(heads, key=lambda head: looked(sentences, key, *head)[2])


def looked(sentences: Sentences, key: tuple[str, int], name: str, head: int) -> tuple[str, str, float]:
    """Noun, place, and the attention from one to the other; the place is the first word that a pair differs in."""
    test_set, i = key
    words, others = sentences[key]["source"], sentences[test_set, i ^ 1]["source"]
    noun = words.index(GAP) - 1
    place = next(j for j, (word, other) in enumerate(zip(words, others, strict=True)) if word != other)
    return words[noun], words[place], float(sentences[key]["maps"][name][head][noun, place])
