"""The page without a browser: contrast in every theme, and Markdown that shows what would be markup."""

import re
from pathlib import Path

import pytest

from analysis.page.blocks import Answer, Answers, Page, Paragraph, Section, Table
from analysis.page.render import markdown, write_page

TEMPLATE = Path(__file__).parents[3] / "analysis" / "page" / "templates" / "style.css.jinja"


def luminance(colour: str) -> float:
    """Relative luminance as in WCAG 2.1."""
    digits = colour.removeprefix("#")
    digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_is_readable_in_every_theme() -> None:
    assert contrast("#000", "#fff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    themes = re.findall(r":root \{(.*?)\}", TEMPLATE.read_text(), flags=re.DOTALL)
    assert len(themes) == 3  # light, dark, print
    for theme in themes:
        colours = dict(re.findall(r"--([a-z]+): (#[0-9a-f]+)", theme))
        for text in ("ink", "soft", "link", "good", "bad"):
            for ground in ("ground", "mark", "fill"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


@pytest.mark.parametrize("text", ["a|b", "*a*", "_a_", "[x](y)", "<b>", "a\nb", "# a", "`a`", "$a$", "~~a~~"])
def test_markdown_escapes_what_would_be_markup(text: str) -> None:
    escaped = markdown(text)
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)[|*_\[\]`$~#<>]", escaped)


@pytest.mark.parametrize("text", ["القط الأحمر يأكل السمك.", "החתול האדום", "The red cat."])
def test_a_cell_of_text_has_the_direction_of_its_text(text: str, tmp_path: Path) -> None:
    page = Page("T", "s", "", [Section("one", "One", [Table("Cells.", ["", "text"], [["source", text]], left=2)])], [])
    write_page(tmp_path, "page", page)
    assert f"<td class=left dir=auto>{text}</td>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_percent_sign_is_not_left_alone_on_a_line(tmp_path: Path) -> None:
    section = Section("one", "One", [Answers([Answer("Which?", "It is 60 %.")]), Paragraph("5 % of it, 5 of them")])
    write_page(tmp_path, "page", Page("T", "s", "", [section], []))
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "It is 60\N{NO-BREAK SPACE}%." in text
    assert "5\N{NO-BREAK SPACE}% of it, 5 of them" in text
