"""Sections as files: one HTML page, the same in Markdown, and figures/."""

import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from analysis.page.blocks import Anchor, Best, Code, FigureLink, Section, SectionLink, figures_of
from analysis.page.look import MARKER_PATHS, ROUND
from analysis.page.run_sources import of_cell
from experiments.record.text import visible

TESTS = {"code": Code, "figure_link": FigureLink, "section_link": SectionLink, "best": Best, "anchor": Anchor}


def write_page(
    folder: Path, name: str, title: str, suite: str, summary: str, sections: Sequence[Section], *, png: bool = False
) -> None:
    """Write `name`.html, `name`.md and figures/; all is rendered before anything is written."""
    page = {"title": title, "suite": suite, "summary": summary, "sections": sections}
    made = environment()
    files: dict[str, str | bytes] = {
        f"{name}.{kind}": made.get_template(f"report.{kind}.jinja").render(page) for kind in ("html", "md")
    }
    for figure in figures_of(sections):
        files[f"figures/{figure.name}.svg"] = figure.standalone
        if png:
            files[f"figures/{figure.name}.png"] = figure.png
    write(folder, files)
    for left_over in (folder / "figures").iterdir():  # of an earlier page, which this one replaces
        if f"figures/{left_over.name}" not in files:
            left_over.unlink()


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Replace each file in one step, so that a reader never meets half of it."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with tempfile.NamedTemporaryFile("wb", dir=(folder / name).parent, delete=False) as file:
            file.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        os.chmod(file.name, 0o644)  # temporary files are private, a report is not
        os.replace(file.name, folder / name)


def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("analysis.page"),
        autoescape=select_autoescape(enabled_extensions=("html.jinja",)),
        undefined=StrictUndefined,
        finalize=harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"markdown": markdown, "inline": Markup, "runs_of": of_cell}
    made.globals["markers"] = defaultdict(lambda: ROUND, MARKER_PATHS)
    for name, kind in TESTS.items():
        made.tests[name] = lambda text, kind=kind: isinstance(text, kind)
    return made


def harmless(value: Any) -> Any:
    """What a template prints, with control characters escaped; line ends stay, they separate the runs in a title."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "\n".join(map(visible, value.split("\n")))


def markdown(text: str) -> str:
    """Text as Markdown that reads as the same text, also inside a table cell."""
    if isinstance(text, FigureLink):
        return f"[figure](figures/{text}.svg)"
    if isinstance(text, SectionLink):
        return f"section {text}"
    if isinstance(text, Code):
        return f"`{text.replace('`', 'ˋ')}`".replace("|", r"\|")
    escaped = re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", visible(text))
    plain = " ".join(escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
    return f"**{plain}**" if isinstance(text, Best) else plain
