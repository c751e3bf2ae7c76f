"""What attention heads specialise in: roles by fixed rules, how many play each role, and every head drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.page.blocks import Block, Figures, Heading, Paragraph, Table
from analysis.page.canvas import TALL_PANEL, Figure, add_legend, finish, panel
from analysis.page.labels import NONE, counted, decimal, label, ordered
from analysis.page.look import Look, VariantLook
from analysis.page.prose import PROSE
from analysis.store import Store, System

EXPERIMENT = "inspection"
STRONG, EVEN = 0.5, 0.9  # mean weight or share of queries that makes a role; share of the largest entropy
ROLES: dict[str, dict[str, float]] = {
    "previous token": {"head_previous": STRONG},
    "same token": {"head_same": STRONG},
    "next token": {"head_next": STRONG},
    "edge": {"head_edge": STRONG},
    "alignment": {"head_alignment": STRONG, "head_strongest": STRONG},
    "even": {"head_entropy_share": EVEN},
}
HEAD = ["model", "variant", "seed", "map", "head"]
COLUMNS = ("head_distance", *dict.fromkeys(metric for lines in ROLES.values() for metric in lines))


def build(store: Store, look: Look, task: str) -> list[Block]:
    """Roles counted over all seeds, and every head drawn."""
    table = heads_of(store, task)
    if table.empty:
        return []
    return [
        Heading("What heads specialise in"),
        Paragraph(rules(store, task)),
        roles_table(table),
        Figures(PROSE["every head"], [scatter(look, task, table)]),
    ]


def heads_of(store: Store, task: str) -> pd.DataFrame:
    """One row a head, one column a measure, NaN where a measure does not apply to that kind of attention."""
    rows = store.rows(EXPERIMENT, task=task)
    rows = rows[rows["metric"].str.startswith("head_")]
    renamed = rows.rename(columns={"x_name": "map", "x": "head"})
    wide = renamed.pivot_table(index=HEAD, columns="metric", values="value", sort=False).reset_index()
    return wide.reindex(columns=[*HEAD, *COLUMNS])


def roles_of(head: Mapping[Any, float]) -> list[str]:
    """The roles whose every measure reaches its line; a measure that does not apply (NaN) reaches none."""
    return [role for role, lines in ROLES.items() if all(head[metric] >= line for metric, line in lines.items())]


def kind_of(name: str) -> str:
    """encoder, decoder, cross, or a name of its own"""
    return name.split(" ")[0]


def kinds(table: pd.DataFrame) -> dict[tuple[System, str], pd.DataFrame]:
    """Heads by model and kind of attention."""
    found: dict[tuple[System, str], pd.DataFrame] = {}
    for system in ordered(System(*names) for names in table[["model", "variant"]].itertuples(index=False)):
        mine = of_system(table, system)
        found |= {(system, str(kind)): heads for kind, heads in mine.groupby(mine["map"].map(kind_of), sort=False)}
    return found


def of_system(table: pd.DataFrame, system: System) -> pd.DataFrame:
    return table[(table["model"] == system.model) & (table["variant"] == system.variant)]


def rules(store: Store, task: str) -> str:
    by_chance = store.rows(EXPERIMENT, task=task, metric="alignment_by_chance")["value"]
    chance = f" (by chance {decimal(by_chance.iloc[0], 2)})" if len(by_chance) else ""
    return PROSE["roles"].format(strong=STRONG, even=EVEN, chance=chance)


def counted_roles(table: pd.DataFrame) -> dict[str, int]:
    """How many heads play each role; a head may play two."""
    found = [roles_of(head) for head in table.to_dict("records")]
    counts = {role: sum(role in roles for roles in found) for role in ROLES}
    return counts | {"without a role": sum(not roles for roles in found)}


def roles_table(table: pd.DataFrame) -> Table:
    rows = []
    for (system, kind), heads in kinds(table).items():
        counts = counted_roles(heads)
        cells = [str(counts[role]) if applies(heads, role) else NONE for role in ROLES]
        rows.append([f"{label(system)}, {kind}", str(len(heads)), *cells, str(counts["without a role"])])
    caption = "Heads by role, all seeds together; a head may play two, and a dash marks a role that does not apply."
    return Table(caption, ["attention", "heads", *ROLES, "without a role"], rows)


def applies(heads: pd.DataFrame, role: str) -> bool:
    return bool(heads[list(ROLES[role])].notna().any().all())


def scatter(look: Look, task: str, table: pd.DataFrame) -> Figure:
    """Mean distance against entropy, one dot a head, coloured by kind of attention."""
    groups = kinds(table)
    drawn = {group: as_variant(*group, [*groups]) for group in groups}
    others = VariantLook(drawn.values())
    with panel(TALL_PANEL) as (canvas, axes):
        for (system, kind), heads in groups.items():
            name, which = f"{label(system)}: {kind}", drawn[system, kind]
            own = look if which.variant == "base" else others
            at = heads["head_distance"], heads["head_entropy_share"]
            axes.plot(*at, own.marker(which), color=own.colour(which), alpha=0.75, label=name)
        axes.set(xlabel="mean distance to what is looked at (tokens)", ylabel="entropy, share of the largest")
        axes.set(title="Attention heads", ylim=(0, 1.04))
        axes.set_xlim(left=0)
        add_legend(axes)
        parts = [f"{label(s)}, {kind}: {ranges(heads)}" for (s, kind), heads in groups.items()]
        description = f"Entropy of heads by mean distance. {'; '.join(parts)}."
        return finish(canvas, f"attention-heads-{task}", "Attention heads", description)


def as_variant(system: System, kind: str, groups: Sequence[tuple[System, str]]) -> System:
    """A base with one kind of attention keeps its model's colour; whatever else there is needs one of its own."""
    only = sum(other == system for other, _ in groups) == 1
    return system if only and system.variant == "base" else System(system.model, f"{system.variant} {kind}")


def ranges(heads: pd.DataFrame) -> str:
    distance, entropy = heads["head_distance"], heads["head_entropy_share"]
    return (
        f"{counted(len(heads), 'head', 'heads')}, distance {decimal(distance.min())} to {decimal(distance.max())}, "
        f"entropy {decimal(entropy.min(), 2)} to {decimal(entropy.max(), 2)}"
    )
