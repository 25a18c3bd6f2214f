"""`fvi index`: what a mine's index is made of, pillar by pillar. The arithmetic belongs to `weights.index`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

if TYPE_CHECKING:
    from fvi_pipeline.weights.index import MetricPart

_WIDTH_OF_FILES = 140


def index(
    mine_id: Annotated[str, typer.Argument(help="For example msha:4801353 or gem:M0086.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a mine's index with each pillar's part, metric by metric, and what is not known of the mine."""
    import polars as pl

    from fvi_pipeline.features.catalogue import load_catalogue
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.dbt_manifest import ensure_manifest
    from fvi_pipeline.platform.errors import PlatformError
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings
    from fvi_pipeline.weights import index_store, store
    from fvi_pipeline.weights.errors import WeightsError
    from fvi_pipeline.weights.index import compute_index, metric_parts

    settings = get_settings()
    catalogue = load_catalogue(ensure_manifest(settings.dbt_project_dir, settings.home))
    metrics = catalogue.index_metrics()
    with running_servers(settings) as servers, connect(servers.database_url) as connection:
        current = index_store.current_metrics(connection, metrics)
        reference = index_store.mines_of_the_time(connection, current)
        weights = store.newest_weights(connection)
    row = current.filter(pl.col("mine_id") == mine_id)
    if row.is_empty():
        raise PlatformError(f"There is no mine {mine_id}. Find it with SQL: silver.silver_mine_profiles.")
    try:
        whole = compute_index(row, metrics, weights, reference).row(0, named=True)
        parts = metric_parts(row, reference, metrics, weights)
    except WeightsError as error:
        raise PlatformError(str(error)) from error
    if as_json:
        print(json.dumps(_as_json(whole, parts), indent=2, default=str))
    else:
        _print(whole, parts, {str(k): v for k, v in catalogue.pillar_questions.items()}, reference.height)


def _as_json(whole: dict[str, Any], parts: list[MetricPart]) -> dict[str, Any]:
    return {
        **whole,
        "metrics": [
            {
                "metric": part.metric.name,
                "pillar": part.metric.pillar,
                "value": part.value,
                "unit": part.metric.unit,
                "normalised": part.normalised,
                "weight": part.weight,
                "points": part.points,
            }
            for part in parts
        ],
    }


def _print(whole: dict[str, Any], parts: list[MetricPart], questions: dict[str, str], compared: int) -> None:
    out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
    score = "none, nothing is known of it" if whole["index_score"] is None else f"{whole['index_score']:.1f} of 100"
    out.print(
        f"{whole['mine_id']}, as of {whole['as_of_year']}: index {score}; the mine has values for metrics of "
        f"{whole['coverage']:.0%} of the weight. Compared with {compared:,} mines.",
        markup=False,
    )
    right = [Column(name, justify="right") for name in ("value", "unit", "better than", "weight", "points")]
    table = Table("pillar", "metric", *right, box=None, pad_edge=False)
    for pillar, question in questions.items():
        points = whole[f"{pillar}_points"]
        table.add_row(pillar, question, "", "", "", "", "–" if points is None else f"{points:.1f}", style="bold")
        for part in (part for part in parts if part.metric.pillar == pillar):
            known = part.value is not None and part.normalised is not None
            table.add_row(
                "",
                part.metric.name,
                f"{part.value:,.4g}" if known else "not known",
                part.metric.unit,
                f"{part.normalised:.0%}" if known else "",
                f"{part.weight:.3f}",
                f"{part.points:.1f}" if known else "–",
            )
    out.print(table)
