"""`fvi drift`: what has moved since the champion was fitted: features, scores, and whether scores came true. Measuring
belongs to `fvi_pipeline.monitoring`; this reads ops.monitoring.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from fvi_pipeline.monitoring.measurements import Measurement
    from fvi_pipeline.monitoring.report import Report

_LEVELS = {"stable": "green", "moderate": "yellow", "large": "red"}
_WIDTH_OF_FILES = 160


def drift(
    show_all: Annotated[bool, typer.Option("--all", help="The features that have not moved too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, everything included.")] = False,
) -> None:
    """Show what moved: the features, the scores, how the scores came true, and whether a training is asked for."""
    from rich.console import Console

    from fvi_pipeline.monitoring.report import read_report
    from fvi_pipeline.monitoring.retraining import Thresholds
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings

    settings = get_settings()
    thresholds = Thresholds(settings.retraining_importance, settings.retraining_score_psi)
    with running_servers(settings) as servers, connect(servers.database_url) as connection:
        report = read_report(connection, thresholds)
    if as_json:
        print(json.dumps(report.as_json(), indent=2, default=str))
        return
    out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
    _print_features(out, report, show_all)
    _print_scores(out, report)
    _print_performance(out, report)
    _print_retraining(out, report)


def _print_features(out: Console, report: Report, show_all: bool) -> None:
    out.print(f"[bold]Features[/] of {report.cohort}, against the {report.reference}")
    by_mines = [each for each in report.features if each.details.get("judged_by") == "mines"]
    table = _table("feature", "moved", "PSI", "usual", "KS", "outside", "part of scores")
    for each in by_mines:
        if show_all or each.details["level"] != "stable":
            usual = each.details["by_chance"] + each.details["of_training_years"]
            figures = [each.value, usual, report.other(each, "ks"), report.other(each, "outside_training")]
            table.add_row(each.name, _level(each), *map(_figure, figures), _part(report.other(each, "importance")))
    out.print(table)
    out.print("\n[bold]Shared by all mines of a year[/], judged against the years")
    table = _table("feature", "moved", "value", "least", "largest", "outside, deviations", "part of scores")
    for each in report.features:
        values = list(each.details.get("training_values", {}).values())
        if values and (show_all or each.details["level"] != "stable"):
            figures = [each.details["value"], min(values), max(values), each.details["deviations_outside"]]
            table.add_row(each.name, _level(each), *map(_figure, figures), _part(report.other(each, "importance")))
    out.print(table)
    counts = ", ".join(f"{report.levels.get(level, 0)} {level}" for level in _LEVELS)
    out.print(f"{counts}; {report.importance_moved:.0%} of the scores' contributions come from those that moved far.")


def _print_scores(out: Console, report: Report) -> None:
    out.print("\n[bold]Scores[/]")
    if not report.scores:
        out.print("The champion has scored no cohort yet.")
        return
    table = _table("horizon", "moved", "PSI", "usual", "KS", "mean")
    for each in report.scores:
        usual = each.details["by_chance"] + each.details["of_training_years"]
        figures = [each.value, usual, report.other(each, "ks"), report.other(each, "mean")]
        table.add_row(each.name, _level(each), *map(_figure, figures))
    out.print(table)


def _print_performance(out: Console, report: Report) -> None:
    out.print("\n[bold]How the scores came true[/]")
    if not report.performance:
        out.print("No score has an outcome yet that was not here when it was made.")
        return
    table = _table("version, horizon", "measure", "value", "low", "high", "promised", "worst test year", "")
    for each in report.performance:
        told = [each.details.get(name) for name in ("low", "high", "promised", "worst_test_year")]
        worse = "[red]worse[/]" if each.details.get("is_worse") else ""
        table.add_row(each.name, each.measure, *map(_figure, [each.value, *told]), worse)
    out.print(table)


def _print_retraining(out: Console, report: Report) -> None:
    out.print("\n[bold]Training[/]")
    for reason in report.reasons:
        out.print(f"past its threshold: {reason.text}", markup=False, soft_wrap=True)
    if not report.reasons:
        out.print("Nothing is past its threshold.")
    for request in report.requests:
        out.print(f"asked for on {request.measured_at:%Y-%m-%d %H:%M} UTC: {request.why}", markup=False, soft_wrap=True)


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for column in table.columns[2:]:
        column.justify = "right"
    return table


def _level(measurement: Measurement) -> str:
    level = measurement.details["level"]
    return f"[{_LEVELS[level]}]{level}[/]"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def _part(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
