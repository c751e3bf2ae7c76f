import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wandb_workspaces.reports.v2 as wr
from matplotlib.image import imsave

from analysis import report
from analysis.dashboard import __main__ as dashboard
from analysis.dashboard.__main__ import main
from analysis.dashboard.panels import colours, parts
from analysis.page.blocks import Claims, Explorer, Group, Page, Table, figures_of
from analysis.page.look import COLOURS
from analysis.page.render import environment
from analysis.store import Store, read_store
from experiments.record.wandb_names import run_id
from experiments.tracking import publish as mirror
from tests.support.fakes import long_range as fake_long_range
from tests.support.fakes import runs as fake_runs
from tests.support.fakes import speed as fake_speed
from tests.support.wandb_server import WandbServer

pytestmark = pytest.mark.usefixtures("nobody_logged_in")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every experiment in one suite, and a model of one's own."""
    root = tmp_path_factory.mktemp("runs")
    fake_runs.write_suite(root)
    for task in ("copy", "recall", "agreement"):
        fake_long_range.write_task(root, task)
    fake_long_range.write_pairs(root)
    fake_speed.write_everything(root, bleu=False)
    fake_runs.write_run(root, "mine")
    return root


@pytest.fixture(scope="module")
def store(runs: Path) -> Store:
    return read_store(runs, "quick")


@pytest.fixture(scope="module")
def built(store: Store) -> Page:
    return report.build(store)


def strings(spec: Any) -> set[str]:
    """Every string anywhere in a saved view."""
    if isinstance(spec, dict):
        return set().union(*(strings(value) for value in spec.values()), {key for key in spec if isinstance(key, str)})
    if isinstance(spec, list):
        return set().union(*map(strings, spec))
    return {spec} if isinstance(spec, str) else set()


def test_without_runs_or_a_login_one_line_says_what_to_do(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no runs"):
        main(["--suite", "quick", "--runs", str(tmp_path)])
    with pytest.raises(
        SystemExit, match=r"^a dashboard lives on W&B; log in first: .venv/bin/python -m wandb login, then"
    ):
        main(["--suite", "quick", "--runs", str(runs)])


def test_a_server_that_refuses_is_one_line(server: WandbServer, tmp_path: Path) -> None:
    fake_runs.write_run(tmp_path, "lstm")
    server.failing = 403
    with pytest.raises(SystemExit, match=r"^W&B did not take the dashboard: [^\n]+$"):
        main(["--suite", "quick", "--runs", str(tmp_path)])
    assert server.views == {}


def pixel(number: int) -> bytes:
    """A picture unlike that of any other number."""
    buffer = io.BytesIO()
    imsave(buffer, np.array([[[number % 256, number // 256, 0]]], dtype=np.uint8), format="png")
    return buffer.getvalue()


def test_both_pages_hold_every_figure_and_every_question_and_a_second_call_updates_them(
    server: WandbServer,
    runs: Path,
    store: Store,
    built: Page,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(report, "build", lambda _: built)
    figures = figures_of(built.sections)
    assert len(figures) > 30
    for number, figure in enumerate(figures):
        if not figure.name.startswith("speed"):  # to draw all takes long
            figure.__dict__["png"] = pixel(number)
    main(["--suite", "quick", "--runs", str(runs)])
    first = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in first] == ["workspace", "report"]
    assert server.unknown == []
    assert sorted(view.kind for view in server.views.values()) == ["project-view", "runs"]
    (identifier, figure_run), *others = server.runs.items()
    assert not others
    assert figure_run.group == "quick/report"
    for view in server.views.values():
        said = strings(view.spec)
        assert {f"figures/{figure.name}" for figure in figures} <= said
        for part in parts(store):
            assert {panel.title for panel in part.learning} <= said
            for panel in part.panels:
                assert wanted(panel) <= said, panel
    for figure in figures:
        assert any(f"figures/{figure.name}_" in path for path in server.files), figure.name
        assert figure.png in server.files.values()
    send = dashboard.send_figures
    monkeypatch.setattr(dashboard, "send_figures", lambda suite, figures, entity: send(suite, figures[:1], entity))
    main(["--suite", "quick", "--runs", str(runs)])
    assert capsys.readouterr().out.splitlines() == first
    assert [view.times_saved for view in server.views.values()] == [2, 2]
    assert list(server.runs) == [identifier]


def wanted(panel: Any) -> set[str]:
    """What a saved panel must mention to show what it is for."""
    found = [*getattr(panel, "metrics", []), *getattr(panel, "media_keys", []), getattr(panel, "table_name", "")]
    table = getattr(panel, "query", {}).get("summaryTable", {}).get("tableKey", "")
    return {str(getattr(one, "name", one)) for one in [*found, table] if one}


def test_every_number_that_a_bar_shows_is_sent_by_a_run(store: Store) -> None:
    sent = {number for run in store.runs for number in mirror.numbers(run.record)}
    drawn = {str(bar.metrics[0]) for part in parts(store) for bar in part.panels if getattr(bar, "metrics", None)}
    assert drawn
    assert drawn <= sent


def test_every_curve_that_a_run_sends_has_a_panel(store: Store) -> None:
    sent = {curve for run in store.runs for curve in mirror.curves(run.record)}
    drawn = {table for part in parts(store) for panel in part.panels for table in wanted(panel)}
    assert {f"{curve}_table" for curve in sent} <= drawn


def test_every_question_has_its_panels_with_the_runs_of_its_group(store: Store) -> None:
    found = {part.group: part for part in parts(store)}
    assert set(found) == {f"{run.suite}/{run.experiment}/{run.task}" for run in store.runs}
    assert all(part.panels or part.learning for part in found.values())
    translation = found["quick/bleu/multi30k"]
    assert len(translation.learning) == 9
    assert {"test/bleu/test_set/test2016", "test/translations", "test/attention"} <= set().union(
        *map(wanted, translation.panels)
    )
    assert found["quick/speed/cost-multi30k"].panels, "a task without curves shows its numbers"
    assert not found["quick/speed/length"].learning


def test_no_panel_averages_over_runs(store: Store) -> None:
    panels = [panel for part in parts(store) for panel in (*part.learning, *part.panels)]
    assert all(getattr(panel, "groupby_aggfunc", None) is None for panel in panels)
    assert all(getattr(panel, "groupby", None) is None for panel in panels)


def test_a_run_has_the_colour_of_its_model_under_the_id_that_it_has_on_wandb(store: Store) -> None:
    painted = colours(store)
    for run in store.runs:
        assert run_id(run.key) in painted
        if run.model in COLOURS:
            assert painted[run_id(run.key)] == COLOURS[run.model]
    mine = {painted[run_id(run.key)] for run in store.runs if run.model == "mine"}
    assert len(mine) == 1
    assert not mine & set(COLOURS.values())


def test_what_needs_scripts_is_left_out() -> None:
    assert dashboard.report_blocks(Explorer("e", "caption", [], 0, ()), wr.Runset()) == []


def test_tables_stand_in_the_report_as_they_do_in_the_local_one(server: WandbServer, store: Store, built: Page) -> None:
    address = dashboard.save_report(store, built.summary, built.sections, "somebody")
    assert address.startswith(server.url)
    (view,) = server.views.values()
    blocks = [block for block in view.spec["blocks"] if block["type"] == "markdown-block"]
    tables = [block for section in built.sections for block in section.blocks if isinstance(block, Table | Claims)]
    assert len(blocks) == len(tables)
    text = json.dumps(view.spec, ensure_ascii=False)
    assert json.dumps(built.summary, ensure_ascii=False)[1:-1] in text
    local = environment().get_template("report.md.jinja")
    groups = [Group("", "", built.sections)]
    page = local.render(page=built, title="t", groups=groups, in_full=False)
    for block in blocks:
        first, *_, last = [line for line in block["content"].splitlines() if line]
        assert first in page
        assert " ".join(last.split()) in " ".join(page.split())
