"""`fvi trace`: the way of a number, printed as a tree or as JSON. Finding the way belongs to `fvi_pipeline.trace`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fvi_pipeline.cli.moment import moment_of

if TYPE_CHECKING:
    from rich.tree import Tree

    from fvi_pipeline.trace.step import Step

_ROWS_SHOWN = 6
_SHOWN_IN_THE_TREE = frozenset({"file_id", "name", "part", "row_numbers"})
_STYLES = {"mart": "magenta", "gold": "yellow", "silver": "cyan", "bronze": "red", "file": "green"}


def trace(
    mine_id: Annotated[str, typer.Argument(help="For example msha:4801353 or gem:M0086.")],
    year: Annotated[int, typer.Argument(help="The as-of year.")],
    column: Annotated[
        str,
        typer.Argument(
            help="A feature, a column of silver_mine_metrics, a metric of the index, index_score, or fvi_score; "
            "MODEL.COLUMN where several have the name."
        ),
    ],
    horizon: Annotated[int | None, typer.Option(help="Years from the as-of year, for fvi_score.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="What was known on this date (its end, UTC) or at this time.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, every row included.")] = False,
) -> None:
    """Print the way of a number: mart ← gold ← silver ← bronze ← file, sha256 and row, with times."""
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.environment import watched_folder
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings
    from fvi_pipeline.trace.cells import with_cells
    from fvi_pipeline.trace.sources import load_lineage
    from fvi_pipeline.trace.way import trace as trace_way

    settings = get_settings()
    moment = None if as_of is None else moment_of(as_of)
    with running_servers(settings) as servers, connect(servers.database_url) as connection:
        way = trace_way(
            connection,
            load_lineage(settings.dbt_project_dir),
            mine_id,
            year,
            column,
            horizon_years=horizon,
            as_of=moment,
        )
    way = with_cells(way, watched_folder(settings))
    if as_json:
        print(json.dumps(way.as_json(), indent=2))
    else:
        _print(way)


def _print(way: Step) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 1000)
    console.print(_tree(way), no_wrap=True, crop=False, overflow="ignore")
    console.print()
    for file_id, file in way.files().items():
        about = {name: value for name, value in file.details.items() if name not in _SHOWN_IN_THE_TREE}
        console.print(f"[green]file {file_id}[/] {_escaped(file.details['name'])}")
        for name, value in about.items():
            console.print(f"    {name} {_escaped(_shown(value))}")


def _tree(step: Step, parent: Tree | None = None) -> Tree:
    from rich.tree import Tree

    label = _label(step)
    branch = Tree(label) if parent is None else parent.add(label)
    for row in step.rows[:_ROWS_SHOWN]:
        branch.add(f"[dim]{_escaped(_listed(row))}[/]")
    if len(step.rows) > _ROWS_SHOWN:
        branch.add(f"[dim]and {len(step.rows) - _ROWS_SHOWN} more; --json lists all[/]")
    for source in step.sources:
        _tree(source, branch)
    return branch


def _label(step: Step) -> str:
    style = _STYLES[step.layer]
    if step.layer == "file":
        file_id, sha256 = step.details["file_id"], str(step.details.get("sha256", "unreadable"))
        return f"[{style}]file {file_id}[/] {_escaped(step.row)} [dim]sha256 {sha256[:16]}…[/]"
    table = f"[{style}]{step.table}[/]" + (f".{step.column}" if step.column else "")
    value = "" if step.value is None and step.rows else f" = [bold]{_escaped(_shown(step.value))}[/]"
    return f"{table}{value}  {_escaped(step.row)}  [dim]{_escaped(_listed(step.details))}[/]"


def _listed(values: Mapping[str, Any]) -> str:
    shown = {name: _shown(value) for name, value in values.items() if value is not None}
    if "known_until" in values:
        shown.setdefault("known_until", "now")  # null: it still holds
    return " · ".join(f"{name} {text}" for name, text in shown.items())


def _shown(value: Any) -> str:
    if isinstance(value, datetime):
        utc = value.astimezone(UTC)
        return f"{utc:%Y-%m-%d}" if utc.time() == time.min else f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() or abs(value) >= 1e6 else f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return "null" if value is None else str(value)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
