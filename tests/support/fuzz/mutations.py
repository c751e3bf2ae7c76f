"""Valid files made wrong at random: bytes, lines, values, cells and archives, as their kind of file asks."""

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Part = TypeVar("Part")
DEEP = 100_000
LONG_NUMBER = "9" * 5_000
# Written as these words and put into the text afterwards: no library writes them.
UNWRITABLE = {
    '"@deep list@"': "[" * DEEP + "]" * DEEP,
    '"@deep object@"': '{"a":' * DEEP + "1" + "}" * DEEP,
    '"@unclosed@"': "[" * DEEP,
    '"@long number@"': LONG_NUMBER,
    '"@beyond a float@"': "1e999",
    '"@as long as a number may be@"': "9" * 4_000,
}
ODD_VALUES: list[Any] = [
    *(json.loads(word) for word in UNWRITABLE),
    *(None, True, False, [], {}, "", "0", " ", -1, 0, 1, 2**31, 2**63, -(2**63), 1e308, -1e308, 1e-320, 0.1),
    *(float("nan"), float("inf"), float("-inf"), [None], [[]], {"": None}, [1, "a"], {"a": {"b": []}}),
    *("\x00", "\ud800", "a\nb", "\u2028", "\x1b[2J", "<script>alert(1)</script>", "nan", "../../evil", "x" * 70_000),
    *("2026-13-45", "2026-01-02T03:04:05", "0001-01-01T00:00:00+14:00", "seed0", "$\\frac{", "{{ 7 * 7 }}", "%s"),
]
TEXT_CELLS = [
    *("", "nan", "inf", "-inf", "1e999", "-1", "0", "1.5", "1_000", "٣", LONG_NUMBER, "NULL", '"', "a\x00b", "\ud800"),
    *("x" * 140_000, "=1+1", "'", "\u2028", "true", "1e-400", "0x10", " 1 ", "bleu", "seed"),
]
TELLING = b"\x00\xff\n\r\t\"',:{}[]<>&*!|\\-0 9\x80\xc3\xed"
PREFIXES = (b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\x00" * 9)
YAML_TEXTS = [
    *("!!python/object/apply:os.system ['true']", "!!binary '%%'", "!!timestamp 2001-99-99", "!!int x", "2001-99-99"),
    *("{? [a, b] : 1}", "{? {a: b} : 1}", "&a [*a]", "*nothing", "<<: [1]", "1:60:99", "0b2", "0o9", "._", "=", "~"),
    *("[" * DEEP, "{a: " * 2_000, "- " * 20_000, "? " * 20_000, LONG_NUMBER, ".inf", ".nan", "|", ">-", "\t"),
    "%YAML 9.9\n---",
    "\n".join(["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12))]),
]


def mutated(name: str, content: bytes, rng: random.Random) -> bytes:
    """Another content for the file of this name; a third of the time whatever its kind."""
    kinds = {".json": as_json, ".jsonl": as_lines, ".yaml": as_yaml, ".csv": as_table}
    kind = next((kinds[ending] for ending in kinds if name.endswith(ending)), as_bytes)
    change = rng.choice([kind, kind, as_bytes])
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        content = change(content, rng)
    return content


def as_bytes(content: bytes, rng: random.Random) -> bytes:
    """Cut, flipped, spliced, repeated, overwritten or replaced bytes."""
    size = len(content)
    start, end = sorted((rng.randint(0, size), rng.randint(0, size)))
    near = min(size, start + rng.choice([1, 2, 4, 8, 64]))
    changes: list[Callable[[], bytes]] = [
        lambda: content[:start],
        lambda: content[start:],
        lambda: content[:start] + content[end:],
        lambda: content[:start] + rng.randbytes(near - start) + content[near:],
        lambda: content[:start] + content[start:end] * 2 + content[end:],
        lambda: content[:start] + bytes([rng.choice(TELLING)]) + content[near:],
        lambda: content[:start] + rng.choice(PREFIXES) + content[start:],
        lambda: flipped(content, rng),
        lambda: rng.randbytes(rng.choice([0, 1, 7, 300, 5_000])),
        lambda: bytes(rng.choice(b'\x00\xff[{"\n 9') for _ in range(1)) * rng.choice([0, 1, 40, 100_000]),
    ]
    return rng.choice(changes)()


def flipped(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice([1, 3, 20]) if changed else 0):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def as_json(content: bytes, rng: random.Random) -> bytes:
    """The same JSON with one value replaced, removed, doubled, moved or renamed."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return as_bytes(content, rng)
    return json_text(changed(value, rng), rng).encode("utf-8", "surrogatepass")


def json_text(value: Any, rng: random.Random) -> str:
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    for word, meant in UNWRITABLE.items():
        text = text.replace(word, meant)
    return text


def changed(value: Any, rng: random.Random) -> Any:
    """A JSON value with a change somewhere inside."""
    places = list(inside(value))
    if not places:
        return rng.choice(ODD_VALUES)
    holder, at = rng.choice(places)
    other_holder, other_at = rng.choice(places)
    match rng.randrange(6):
        case 0:
            del holder[at]
        case 1 if isinstance(holder, dict):
            holder[rng.choice(["", "x", "\ud800", f"{at} "])] = holder.pop(at)
        case 1:
            holder.insert(at, copy.deepcopy(holder[at]))
        case 2:
            holder[at] = copy.deepcopy(other_holder[other_at])
        case _:
            holder[at] = rng.choice(ODD_VALUES)
    return value


def inside(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON value: what holds it, and at what key or index."""
    places = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for at, part in list(places):
        yield value, at
        yield from inside(part)


def rearranged(parts: list[Part], rng: random.Random, change: Callable[[Part], Part]) -> list[Part]:
    """The parts with one removed, repeated elsewhere, or, most often, changed."""
    at = rng.randrange(len(parts))
    match rng.randrange(5):
        case 0:
            del parts[at]
        case 1:
            parts.insert(rng.randrange(len(parts) + 1), parts[at])
        case _:
            parts[at] = change(parts[at])
    return parts


def as_lines(content: bytes, rng: random.Random) -> bytes:
    """JSON lines with a line changed, cut, repeated, moved or removed."""
    changes = (as_bytes, as_json, as_json)
    return b"\n".join(rearranged(content.split(b"\n"), rng, lambda line: rng.choice(changes)(line, rng)))


def as_yaml(content: bytes, rng: random.Random) -> bytes:
    """YAML with a value, a key, a line or its indentation replaced by what YAML has in store."""

    def change(line: str) -> str:
        key, colon, _ = line.partition(":")
        odd = rng.choice([*YAML_TEXTS, json_text(rng.choice(ODD_VALUES), rng)])
        valued = f"{key}{colon or ':'} {odd}"
        return rng.choice([odd, rng.choice(["", " ", "  ", "\t"]) + line.strip(), valued, valued])

    lines = content.decode("utf-8", "replace").split("\n")
    return "\n".join(rearranged(lines, rng, change)).encode("utf-8", "surrogatepass")


def as_table(content: bytes, rng: random.Random) -> bytes:
    """Comma-separated values with a cell, a row or a column name changed."""
    rows = [line.split(",") for line in content.decode("utf-8", "replace").split("\n")]
    cells = [*TEXT_CELLS, *rng.choice(rows)]
    if rng.random() < 0.3:
        rearranged(rows[0], rng, lambda _: rng.choice(cells))  # the names of the columns
    else:
        rearranged(rows, rng, lambda row: rearranged(row, rng, lambda _: rng.choice(cells)))
    return "\n".join(map(",".join, rows)).encode("utf-8", "surrogatepass")
