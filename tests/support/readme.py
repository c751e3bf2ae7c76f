"""The README's code, so that tests can run what a reader would copy."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"


def fences(language: str) -> list[str]:
    """Contents of the README's fenced blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def files_to_write() -> dict[str, str]:
    """The files that the README asks a reader to write: path, named in the first line, to content."""
    blocks = [block.split("\n", 1) for language in ("python", "yaml") for block in fences(language)]
    return {first.removeprefix("# "): rest for first, rest in blocks if re.fullmatch(r"# [\w./-]+", first)}


def snippets() -> list[str]:
    """The README's Python that is not a file of its own."""
    return [block for block in fences("python") if not block.startswith("# ")]
