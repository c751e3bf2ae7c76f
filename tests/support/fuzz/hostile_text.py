"""Sentences that break, or run in, whatever takes text for something else; and a corpus made of them."""

from pathlib import Path

PROBES = {
    "escape sequences": "\x1b[31mred\x1b[0m \x1b]0;owned\x07 text",
    "eight-bit controls": "\x9b31m csi \x85 next \x9d0;owned\x9c",
    "bell, backspace, delete": "ring\x07 back\x08\x08\x08space \x7f del",
    "NUL": "a\x00b \x00 c",
    "line separators": "one\u2028two\u2029three\x0bfour\x0cfive\x1csix",
    "carriage return": "left\rright \r x",
    "tab": "before\tafter",
    "byte order mark inside": "in\ufeffside \ufeff alone",
    "right to left": "\u202eevil\u202c שלום עולם مرحبا بالعالم",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪",
    "zero width": "zero\u200bwidth \u200b joiner\u200d \u2060",
    "combining marks": "Z̸̗͑a̶l͝g̵o e" + 50 * "\u0301",
    "no characters": "\ufffe \uffff \U0010ffff \ue000 \ufffd",
    "script": "<script>document.title='owned'</script>",
    "end of a script": "</script><img src=x onerror=\"document.title='owned'\">",
    "end of an attribute": "\" onmouseover=\"document.title='owned'\" x='",
    "comments": "<!-- <script> --> ]]> &lt;b&gt; &amp; &#60;",
    "template": "{{ 7*7 }} {% raw %} {# c #} {{ config }}",
    "format": "%s %d %n {0} ${HOME} $(touch owned) `touch owned`",
    "TeX": "\\input{/etc/passwd} \\write18{touch owned} $x^2$ _a_ #1 & ~ %",
    "Markdown": "[x](javascript:alert(1)) ![i](http://example.org/) | a | **b** `c` <b>",
    "spreadsheet": '=HYPERLINK("http://example.org") +1 "quoted, comma"',
    "JSON": '"}], {"a": \\u0041 \\n \\ud800',
    "special tokens": "<s> </s> <pad> <unk> <0x41> ⁇ ▁ ▁a ▅",
    "a long word": 5000 * "w",
    "plain": "the old man sees a dog.",
}


def write_hostile_corpus(folder: Path) -> dict[str, list[str]]:
    """Every probe in every split, on both sides; the last test sentence has 300 words."""
    folder.mkdir(parents=True, exist_ok=True)
    probes = [*PROBES.values()]
    long = " ".join(f"word{i % 97}" for i in range(300))
    files = {}
    for split, lines in {"train": 3 * probes, "val": probes, "seen": [*probes, long]}.items():
        files[split] = [str(folder / f"{split}.{language}") for language in ("en", "de")]
        for name, side in zip(files[split], (lines, [*reversed(probes), *lines[len(probes) :]]), strict=True):
            Path(name).write_bytes("".join(line + "\n" for line in side).encode())
    return files
