"""What can be told of the page without a browser: contrast in both themes, order, legend, trails to the runs."""

import re
from pathlib import Path

import pytest

from analysis.page.labels import COLOURS
from analysis.report import main
from tests.support.fakes.long_range import write_task
from tests.support.fakes.runs import write_suite

TEMPLATE = Path(__file__).parents[3] / "analysis" / "page" / "templates" / "report.html.jinja"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    path = tmp_path_factory.mktemp("page")
    write_suite(path / "runs", sentences=30, test_sets=("test",))
    write_task(path / "runs", "copy")
    main(["--suite", "quick", "--runs", str(path / "runs"), "--results", str(path)])
    return path / "quick", (path / "quick" / "report.html").read_text(encoding="utf-8")


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


def themes() -> dict[str, dict[str, str]]:
    roots = re.findall(r":root \{(.*?)\}", TEMPLATE.read_text(), flags=re.DOTALL)
    found = [dict(re.findall(r"--([a-z]+): (#[0-9a-f]+)", text)) for text in roots]
    return dict(zip(("light", "dark", "print"), found, strict=True))


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_text_stands_out_from_its_ground(theme: str) -> None:
    colours = themes()[theme]
    for text in ("ink", "soft", "link"):
        for ground in ("ground", "mark", "fill"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000", "#fff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_it_opens_with_scoreboard_claims_and_models(page: tuple[Path, str]) -> None:
    assert re.findall(r'<section id="([^"]+)"', page[1])[:4] == ["scoreboard", "claims", "models", "results"]


def test_the_legend_has_every_model_in_its_colour(page: tuple[Path, str]) -> None:
    legend = page[1].split('<dl class="legend">')[1].split("</dl>")[0]
    assert legend.count("<dt>") == 5
    assert all(colour in legend for colour in COLOURS.values())


def test_sections_name_their_runs_and_lead_to_them(page: tuple[Path, str]) -> None:
    section = page[1].split('<section id="results"')[1].split("</section>")[0]
    links = re.findall(r'<li><a href="#(R\d+)">', section)
    assert len(links) == 3
    assert all(f'id="{number}"' in page[1] for number in links)
    hover = re.search(r'<th scope="row" class="left" title="([^"]+)">Transformer</th>', section)
    assert hover is not None
    assert "make bleu SUITE=quick MODELS=transformer" in hover[1]


def test_every_figure_is_there_as_svg_and_png(page: tuple[Path, str]) -> None:
    drawn = {path.stem for path in (page[0] / "figures").glob("*.svg")}
    assert drawn == {path.stem for path in (page[0] / "figures").glob("*.png")}
    assert len(drawn) > 5
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in (page[0] / "figures").glob("*.png"))
    assert r"\begin{longtable}" in (page[0] / "tables.tex").read_text(encoding="utf-8")
