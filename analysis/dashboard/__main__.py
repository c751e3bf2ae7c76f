"""A W&B workspace and a W&B report of one suite, from its runs: `python -m analysis.dashboard.__main__ --suite quick`.

Both hold the figures of the local report, and panels that W&B draws itself from the runs, by question and coloured by
model. The figures, tables and intervals are made here from the run store and sent as a run of their own:
W&B computes nothing but what it shows. A second call brings the same two pages up to date.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import wandb
import wandb_workspaces.expr as expr
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb.sdk.lib.service.service_connection import WandbApiFailedError

from analysis import report as local
from analysis.dashboard.panels import MOST_RUNS, Panel, Part, arranged, colours, parts
from analysis.page import blocks
from analysis.page.canvas import Figure
from analysis.page.prose import PROSE
from analysis.page.render import markdown
from analysis.store import Store, read_store
from experiments.record.wandb_names import PROJECT, short_hash

WAIT = 30  # seconds for W&B to answer


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m analysis.dashboard.__main__",
        description="Create or update a W&B workspace and a W&B report of a suite; print their addresses.",
        epilog="The runs themselves get to W&B while they train, or by `make sync`.",
    )
    parser.add_argument("--suite", required=True, help="name of the suite, a folder inside RUNS")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are (default: runs)")
    options = parser.parse_args(arguments)
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        store = read_store(options.runs, options.suite)
    except FileNotFoundError as error:
        sys.exit(str(error))
    os.environ["WANDB_MODE"] = "online"  # a dashboard is nowhere else
    if not wandb.login(prompt=False, verify=False):
        sys.exit("a dashboard lives on W&B; log in first: .venv/bin/python -m wandb login, then the same command")
    try:
        for what, address in publish(store).items():
            print(f"{what}: {address}")
    except (wandb.Error, WandbApiFailedError) as error:
        sys.exit(f"W&B did not take the dashboard: {error}")


def publish(store: Store) -> dict[str, str]:
    """Send the local report's figures, then save workspace and report; return the address of each.

    Raises:
        wandb.Error, WandbApiFailedError: If W&B does not answer or refuses.
    """
    page = local.build(store)
    entity = os.environ.get("WANDB_ENTITY") or wandb.Api().default_entity
    if not entity:
        raise wandb.Error("the login has no default entity; name one in WANDB_ENTITY.")
    send_figures(store.suite, blocks.figures_of(page.sections), entity)
    return {
        "workspace": save_workspace(store, page.sections, entity),
        "report": save_report(store, page.summary, page.sections, entity),
    }


def send_figures(suite: str, figures: Sequence[Figure], entity: str) -> None:
    """Send the local report's figures as the latest state of one W&B run."""
    with tempfile.TemporaryDirectory() as folder:
        run = wandb.init(
            entity=entity,
            project=PROJECT,
            name=group_of(suite),
            id=short_hash(group_of(suite)),
            group=group_of(suite),
            job_type="report",
            tags=[suite, "report"],
            resume="allow",
            dir=folder,
            settings=wandb.Settings(
                mode="online", init_timeout=WAIT, finish_timeout=600, console="off", silent=True, x_disable_stats=True
            ),
        )
        for figure in figures:
            Path(folder, f"{figure.name}.png").write_bytes(figure.png)
        shown = {key(f): wandb.Image(str(Path(folder, f"{f.name}.png")), caption=f.description) for f in figures}
        run.log(shown)
        run.finish()


def key(figure: Figure) -> str:
    return f"figures/{figure.name}"


def group_of(suite: str) -> str:
    """The W&B group of the run that holds the figures."""
    return f"{suite}/report"


def save_workspace(store: Store, sections: Sequence[blocks.Section], entity: str) -> str:
    """Save the suite's workspace, a view whose name follows from the suite, so that it is found again."""
    found = parts(store)
    training = {panel.title: panel for part in found for panel in part.learning}
    made = ws.Workspace(
        entity=entity,
        project=PROJECT,
        name=f"{local.TITLE}: {store.suite}",
        sections=[
            ws.Section(name="Learning curves", panels=arranged(list(training.values())), is_open=True),
            *(ws.Section(name=part.title, panels=part.panels, is_open=True) for part in found),
            *(ws.Section(name=f"Report: {s.title}", panels=media(s)) for s in sections if media(s)),
        ],
        settings=ws.WorkspaceSettings(x_axis="trainer/global_step", smoothing_type="none", max_runs=MOST_RUNS),
        runset_settings=ws.RunsetSettings(
            filters=in_groups([*(part.group for part in found), group_of(store.suite)]),
            order=[expr.Ordering(expr.Metric(column), ascending=True) for column in ("JobType", "Name")],
            run_settings={run: ws.RunSettings(color=colour) for run, colour in colours(store).items()},
        ),
    )
    made._internal_name = f"nw-{short_hash(store.suite)}-v"  # there is no public way to name a view
    try:
        saved = ws.Workspace.from_url(made.url)
    except ValueError:  # not there yet
        saved = made
    saved.name, saved.sections = made.name, made.sections
    saved.settings, saved.runset_settings = made.settings, made.runset_settings
    return str(saved.save().url)


def save_report(store: Store, summary: str, sections: Sequence[blocks.Section], entity: str) -> str:
    """Save the suite's report under its title, over the one that has this title already."""
    made = wr.Report(
        entity=entity,
        project=PROJECT,
        title=f"{local.TITLE}: {store.suite}",
        description=f"Suite {store.suite}",
        width="fluid",
        blocks=[wr.TableOfContents(), wr.P(text=summary), wr.P(text=PROSE["panels of W&B"])],
    )
    figures = wr.Runset(name="figures", filters=in_groups([group_of(store.suite)]))
    for section in sections:
        made.blocks.append(wr.H1(text=section.title))
        made.blocks += [block for part in section.blocks for block in report_blocks(part, figures)]
    made.blocks += [block for part in parts(store) for block in run_blocks(part, store, entity)]
    known = [one for one in wandb.Api().reports(f"{entity}/{PROJECT}") if one.display_name == made.title]
    if known:
        made.id = known[0].id
    return str(made.save().url)


def run_blocks(part: Part, store: Store, entity: str) -> list[Any]:
    """The panels that W&B draws itself from the runs of one task."""
    runs = wr.Runset(
        entity=entity,
        project=PROJECT,
        name=part.title,
        filters=in_groups([part.group]),
        order=[wr.OrderBy("JobType", ascending=True), wr.OrderBy("Name", ascending=True)],
    )
    painted: dict[Any, Any] = {**colours(store)}
    grids = [
        wr.PanelGrid(runsets=[runs], panels=panels, custom_run_colors=painted)
        for panels in (part.learning, part.panels)
        if panels
    ]
    return [wr.H1(text=f"Runs: {part.title}"), *grids]


def report_blocks(block: blocks.Block, runs: wr.Runset) -> list[Any]:
    """A block of the local report as blocks of W&B's."""
    match block:
        case blocks.Figures():
            grid = wr.PanelGrid(runsets=[runs], panels=browsers(block.figures), hide_run_sets=True)
            return [grid, wr.P(text=block.caption)]
        case blocks.Heading():
            return [wr.H2(text=block.text)]
        case blocks.Notice():
            return [wr.CalloutBlock(text=block.text)]
        case blocks.Listing():
            return [wr.UnorderedList(items=list(block.items))]
        case blocks.Table():
            return [wr.MarkdownBlock(text=as_markdown(block))]
        case blocks.Legend():
            return [wr.UnorderedList(items=[f"{entry.name}: {entry.text}" for entry in block.entries])]
        case blocks.Paragraph():
            return [wr.P(text=block.text)]
        case blocks.Claims():
            return [wr.MarkdownBlock(text=as_markdown(block.table))]
        case blocks.Answers():
            figures = [figure for answer in block.answers for figure in answer.figures]
            texts = [wr.P(text=f"{answer.question} {answer.text}") for answer in block.answers]
            return [*texts, wr.PanelGrid(runsets=[runs], panels=browsers(figures), hide_run_sets=True)]
        case blocks.Explorer():  # a page of W&B runs no scripts; the figures that this replaces come before it
            return []


def as_markdown(table: blocks.Table) -> str:
    """The table as in the Markdown report."""
    sides = [":---" if column < table.left else "---:" for column in range(len(table.header))]
    rows = [[markdown(cell) for cell in row] for row in table.rows]
    flagged = [[f"⚠ {row[0]}", *row[1:]] if number in table.flagged else row for number, row in enumerate(rows)]
    lines = [f"| {' | '.join(row)} |" for row in ([markdown(cell) for cell in table.header], sides, *flagged)]
    return "\n".join([f"*{markdown(table.caption)}*", "", *lines])


def media(section: blocks.Section) -> list[Panel]:
    """A panel for each figure of a section of the local report."""
    return browsers(blocks.figures_of([section]))


def browsers(figures: Sequence[Figure]) -> list[Panel]:
    return arranged([wr.MediaBrowser(title=f.title, media_keys=[key(f)], num_columns=1) for f in figures])


def in_groups(groups: Sequence[str]) -> str:
    return f"Metric('Group') in {list(groups)!r}"


if __name__ == "__main__":
    main()
