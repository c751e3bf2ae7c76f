"""A page as files: one HTML page, the same in Markdown, and figures/."""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from analysis.page.blocks import Anchor, Best, Claims, Code, FigureLink, Group, Page, SectionLink, Weak, figures_of
from analysis.page.labels import slug
from analysis.page.look import MARKER_PATHS, ROUND
from experiments.record.text import visible
from experiments.record.write import write_atomically

TESTS = {
    "code": Code,
    "figure_link": FigureLink,
    "section_link": SectionLink,
    "best": Best,
    "weak": Weak,
    "anchor": Anchor,
}


def write_page(folder: Path, name: str, page: Page, *, png: bool = False) -> None:
    """Write `name`.html, `name`.md, appendix.md and figures/; all is rendered before anything is written."""
    made = environment()
    files: dict[str, str | bytes] = {f"{name}.html": made.get_template("report.html.jinja").render(page=page)}
    text = made.get_template("report.md.jinja")
    files[f"{name}.md"] = text.render(page=page, title=page.title, groups=[Group("", "", page.screens)], in_full=False)
    if page.appendix:
        claims = [section for section in page.screens if any(isinstance(block, Claims) for block in section.blocks)]
        groups = [Group("", "", claims), *page.appendix]
        files["appendix.md"] = text.render(page=page, title=f"{page.title}: appendix", groups=groups, in_full=True)
    for figure in figures_of(page.sections):
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
        write_atomically(folder / name, content)


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
    made.filters |= {"markdown": markdown, "inline": Markup, "slug": slug, "opening": opening, "unbroken": unbroken}
    made.globals["markers"] = defaultdict(lambda: ROUND, MARKER_PATHS)
    made.tests["a"] = lambda block, name: type(block).__name__ == name
    for name, kind in TESTS.items():
        made.tests[name] = lambda text, kind=kind: isinstance(text, kind)
    return made


def harmless(value: Any) -> Any:
    """What a template prints, with control characters escaped; line ends stay, a macro of the Markdown has them."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "\n".join(map(visible, value.split("\n")))


def opening(caption: str) -> str:
    """What a table shows, without how: its caption up to the first pause."""
    return re.split(r"[.:;](?:\s|$)", caption, maxsplit=1)[0]


def unbroken(text: str) -> str:
    """A percent sign stays with its number at the end of a line."""
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


def markdown(text: str) -> str:
    """Text as Markdown that reads as the same text, also inside a table cell."""
    if isinstance(text, FigureLink):
        return f"[figure](figures/{text}.svg)"
    if isinstance(text, Code):
        return f"`{text.replace('`', 'ˋ')}`".replace("|", r"\|")
    escaped = re.sub(r"([\\`*_\[\]|~$#])", r"\\\1", visible(text))
    plain = " ".join(escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
    return f"**{plain}**" if isinstance(text, Best) else plain
