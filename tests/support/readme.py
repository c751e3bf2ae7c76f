"""The code in README and docs, so that tests can run what a reader would copy."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def fences(language: str) -> list[str]:
    """Contents of the fenced blocks in a language, indented or not."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    return re.findall(rf"^ *```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)


def files_to_write() -> dict[str, str]:
    """The files that a reader is asked to write: path, named in the first line, to content."""
    blocks = [block.split("\n", 1) for language in ("python", "yaml") for block in fences(language)]
    return {first.removeprefix("# "): rest for first, rest in blocks if re.fullmatch(r"# [\w./-]+", first)}
