"""`fvi catalogue`: the features and how their values are, as a table, as JSON or as the document. What they are belongs
to the dbt project, what is measured of them to `fvi_pipeline.monitoring`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from fvi_pipeline.monitoring.catalogue_rows import CatalogueRow

_LEVELS = {"stable": "green", "moderate": "yellow", "large": "red"}
_WIDTH_OF_FILES = 160


def catalogue(
    category: Annotated[
        str | None,
        typer.Option(help="operations, asset and geology, ownership and transactions, market or time."),
    ] = None,
    feature: Annotated[str | None, typer.Option(help="All about one feature.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    markdown: Annotated[
        Path | None,
        typer.Option(help="Write the document about all features to this file (docs/feature_catalogue.md)."),
    ] = None,
) -> None:
    """List the features: meaning, unit, values, what they tell of viability, and drift."""
    from fvi_pipeline.monitoring.catalogue_rows import catalogue_rows, measured_on
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings

    if markdown is not None and (category or feature or as_json):
        raise typer.BadParameter("--markdown writes all features: leave the other options out.")
    with running_servers(get_settings()) as servers, connect(servers.database_url) as connection:
        rows = catalogue_rows(connection, category, feature)
        measured = measured_on(connection)
    if markdown is not None:
        _write(markdown, rows, measured)
    elif as_json:
        print(json.dumps([row.as_json() for row in rows], indent=2))
    elif feature is not None:
        _print_one(rows[0])
    else:
        _print_table(rows, measured)


def _write(path: Path, rows: Sequence[CatalogueRow], measured: str) -> None:
    from fvi_pipeline.monitoring.document import COMMAND, by_category, feature_page, figures_from_rows

    figures = figures_from_rows(rows, f"Measured on {datetime.now(UTC):%d %B %Y} by `{COMMAND}`. {measured}")
    page = feature_page(by_category((row.feature, row.category, row) for row in rows), figures)
    path.write_text(page, encoding="utf-8")
    print(f"{path}: {len(rows)} features. {measured}")


def _print_table(rows: Sequence[CatalogueRow], measured: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from fvi_pipeline.monitoring.document import CATEGORIES, figure

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("feature", no_wrap=True)
    table.add_column("unit", overflow="ellipsis", no_wrap=True, max_width=22)
    for name in ("null %", "least", "mean", "largest", "deviation", "tells", "PSI", "KS"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("moved", no_wrap=True)
    table.add_column("model", no_wrap=True)
    category = None
    for row in sorted(rows, key=lambda row: (CATEGORIES.index(row.category), row.position)):
        if row.category != category:
            category = row.category
            table.add_row(f"[bold cyan]{category}[/]")
        table.add_row(
            f"  {row.feature}",
            row.unit,
            "" if row.null_rate is None else f"{100 * row.null_rate:.1f}",
            *(figure(value) for value in (row.minimum, row.mean, row.maximum, row.standard_deviation)),
            *("" if value is None else f"{value:.3f}" for value in (row.information_gain, row.drift_psi, row.drift_ks)),
            f"[{_LEVELS[row.drift_level]}]{row.drift_level}[/]" if row.drift_level else "",
            row.model_role,
        )
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
    console.print(table)
    console.print(f"\n{len(rows)} features. {measured}", soft_wrap=True)


def _print_one(row: CatalogueRow) -> None:
    from rich.console import Console

    from fvi_pipeline.monitoring.document import figure, readable_source

    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
    console.print(f"[bold]{row.feature}[/]  [dim]{row.category}, {row.unit}, model: {row.model_role}[/]")
    console.print(" ".join(row.description.split()), markup=False)
    console.print(f"null: {row.null_means}", markup=False)
    for number, source in enumerate(row.sources):
        console.print(f"{'from' if number == 0 else '    '}: {readable_source(source)}", markup=False)
    console.print(f"facts: {', '.join(row.fact_groups)}", markup=False)
    rate = None if row.null_rate is None else f"{100 * row.null_rate:.2f} %"
    values = {"least": row.minimum, "mean": row.mean, "largest": row.maximum, "deviation": row.standard_deviation}
    shown = [f"{name} {figure(value)}" for name, value in values.items() if value is not None]
    console.print(f"values: {', '.join([f'{row.rows:,} rows', f'null {rate}', *shown])}", markup=False)
    drift = {"tells of viability": row.information_gain, "PSI": row.drift_psi, "KS": row.drift_ks}
    shown = [f"{name} {value:.3f}" for name, value in drift.items() if value is not None]
    if row.measured_at is not None:
        shown += [f"moved: {row.drift_level or 'not known'}", f"measured {row.measured_at:%Y-%m-%d %H:%M} UTC"]
    console.print(f"drift: {', '.join(shown) or 'not measured yet'}", markup=False)
