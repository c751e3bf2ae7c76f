"""How the axes of a task are said: "longest gap" but "most pairs", "at length 32" but "with 4 pairs"."""

from analysis.page.labels import counted

COUNTS = {
    "symbols": ("symbol", "symbols"),
    "content": ("symbol", "symbols"),
    "pairs": ("pair", "pairs"),
    "keys": ("key", "keys"),
    "attractors": ("attractor", "attractors"),
    "blanks": ("blank", "blanks"),
}
LENGTHS = ("gap", "length", "distance")


def quantity(vary: str) -> str:
    """The gap, the number of pairs."""
    return f"number of {COUNTS[vary][1]}" if vary in COUNTS else vary


def amount(vary: str, x: float) -> str:
    """gap 16, 4 pairs"""
    return counted(x, *COUNTS[vary]) if vary in COUNTS else f"{vary} {x:g}"


def at(vary: str, x: float) -> str:
    """at gap 16, with 4 pairs"""
    return f"{'with' if vary in COUNTS else 'at'} {amount(vary, x)}"


def most(vary: str) -> str:
    """longest gap, most pairs"""
    if vary in COUNTS:
        return f"most {COUNTS[vary][1]}"
    return f"{'longest' if vary in LENGTHS else 'largest'} {vary}"


def at_most(vary: str) -> str:
    """at the longest gap, with the most pairs"""
    return f"{'with' if vary in COUNTS else 'at'} the {most(vary)}"


def heading(name: str) -> str:
    """An axis as recorded, "pairs, gap 52, keys 512", as "number of pairs (gap 52, 512 keys)"."""
    vary, *fixed = name.split(", ")
    return f"{quantity(vary)} ({settings(', '.join(fixed))})" if fixed else quantity(vary)


def point(name: str, x: float) -> str:
    """One value of an axis with what is fixed: "4 pairs, gap 52, 512 keys"."""
    vary, *fixed = name.split(", ")
    return ", ".join([amount(vary, x), *map(setting, fixed)])


def settings(text: str) -> str:
    """ "gap 52, keys 512" as "gap 52, 512 keys"."""
    return ", ".join(map(setting, text.split(", ")))


def setting(text: str) -> str:
    """ "keys 512" as "512 keys"; what is no name and number stays as it is."""
    name, _, value = text.rpartition(" ")
    return amount(name, int(value)) if value.isdecimal() else text
