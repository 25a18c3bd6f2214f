"""`fvi features`: one mine's features with the age of each value, as a table or as JSON. Reading them belongs to
`fvi_pipeline.features`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from fvi_pipeline.cli.moment import moment_of

if TYPE_CHECKING:
    from fvi_pipeline.features.of_mine import MineFeature, MineFeatures

_WIDTH_OF_FILES = 140


def features(
    mine_id: Annotated[str, typer.Argument(help="For example msha:4801353.")],
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="As known on this date (its end, UTC) or at this time, from history."),
    ] = None,
    category: Annotated[
        str | None,
        typer.Option(help="operations, asset and geology, ownership and transactions, market or time."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a mine's features as served, or as known at a date, and how old each value is."""
    from fvi_pipeline.features.catalogue import Category

    if category is not None and category not in get_args(Category):
        raise typer.BadParameter(f"{category!r} is no category: write {', '.join(get_args(Category))}.")
    found = _read(mine_id, None if as_of is None else moment_of(as_of))
    shown = [feature for feature in found.features if category in (None, feature.column.category)]
    if as_json:
        print(json.dumps(_as_json(found, shown), indent=2))
    else:
        _print(found, shown)


def _read(mine_id: str, as_of: datetime | None) -> MineFeatures:
    from fvi_pipeline.features.of_mine import features_of_mine
    from fvi_pipeline.features.store import open_store
    from fvi_pipeline.features.versions import newest_version
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.environment import tool_environment
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings

    settings = get_settings()
    with running_servers(settings) as servers:
        with connect(servers.database_url) as connection:
            version = newest_version(connection)
        store = open_store(settings.feature_repo_dir, tool_environment(settings, servers))
        return features_of_mine(store, version, mine_id, as_of)


def _as_json(found: MineFeatures, shown: list[MineFeature]) -> dict[str, Any]:
    return {
        "mine_id": found.mine_id,
        "as_of_year": found.as_of_year,
        "vintage": found.vintage.isoformat(),
        "feature_service": found.service,
        "read_from": "online" if found.is_online else "history",
        "moment": found.moment.isoformat(),
        "segment": None if found.segment is None else asdict(found.segment),
        "features": [
            {
                "feature": feature.column.name,
                "value": feature.value,
                "unit": feature.column.unit,
                "category": feature.column.category,
                "known_at": feature.age.known_at.isoformat() if feature.age.known_at else None,
                "age_days": feature.age.days,
                **({"null_means": feature.column.null_means} if feature.value is None else {}),
            }
            for feature in shown
        ],
    }


def _print(found: MineFeatures, shown: list[MineFeature]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("feature", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True, overflow="ellipsis", max_width=26)
    table.add_column("known since", no_wrap=True)
    table.add_column("age, days", justify="right", no_wrap=True)
    category = None
    for feature in sorted(shown, key=lambda feature: _order(feature.column.category)):
        if feature.column.category != category:
            category = feature.column.category
            table.add_row(f"[bold cyan]{category}[/]")
        table.add_row(
            f"  {feature.column.name}",
            "[dim]null[/]" if feature.value is None else f"{feature.value:,.6g}",
            feature.column.unit,
            f"{feature.age.known_at:%Y-%m-%d}" if feature.age.known_at else "",
            "" if feature.age.days is None else f"{feature.age.days:,.0f}",
        )
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
    where = "as served now" if found.is_online else f"as known at {found.moment:%Y-%m-%d %H:%M:%S} UTC"
    console.print(
        f"[bold]{found.mine_id}[/] {where}: as-of year {found.as_of_year}, vintage {found.vintage:%Y-%m-%d %H:%M:%S} "
        f"UTC, {found.service}"
    )
    if found.segment is not None:
        segment = found.segment
        console.print(
            f"Segment {segment.number} of the cohort of {segment.as_of_year}: {segment.name} (no model input)"
        )
    console.print(table)


def _order(category: str | None) -> int:
    from fvi_pipeline.features.catalogue import Category

    names = get_args(Category)
    return names.index(category) if category in names else len(names)
