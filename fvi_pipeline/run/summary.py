"""What a run ends with, in words and tables read from the warehouse. Nothing is computed here."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from fvi_pipeline.run.pipeline import RunReport

RANKED_HORIZON_YEARS = 5
_RANKED = 10
_RANKING = sql.SQL(
    "select scores.mine_id, profiles.mine_name, features.mine_state, scores.fvi_score, scores.interval_low, "
    "scores.interval_high from mart.fvi_scores as scores "
    "left join silver.silver_mine_profiles as profiles on profiles.mine_id = scores.mine_id "
    "left join gold.gold_mine_features as features on features.mine_id = scores.mine_id "
    "and features.as_of_year = scores.as_of_year where scores.horizon_years = %s and scores.as_of_year = %s "
    "order by scores.fvi_score {order}, scores.mine_id limit %s"
)


def print_summary(out: Console, connection: psycopg.Connection, report: RunReport, seconds: float) -> None:
    """Files and rows, data quality, the champion beside its rivals, ranked mines, stage times, what to try next."""
    out.print()
    if not report.stages:
        out.print("[bold]Nothing new:[/bold] every file is known and every table is up to date.")
    _print_files(out, connection, report)
    _print_quality(out, connection)
    _print_features(out, connection)
    _print_champion(out, connection)
    _print_ranking(out, connection)
    _print_stages(out, connection, report, seconds)
    _print_next(out, connection)


def _print_files(out: Console, connection: psycopg.Connection, report: RunReport) -> None:
    table = Table("feed", "files", "rows read", "loaded", "quarantined", "rejected files", title="Files and rows")
    for column in table.columns[1:]:
        column.justify = "right"
    rows = connection.execute(
        "select coalesce(feed, 'no feed (ignored)'), count(*), sum(rows_read), sum(rows_loaded), "
        "sum(rows_quarantined), count(*) filter (where status = 'rejected') from landing.files group by 1 order by 1"
    ).fetchall()
    for row in rows:
        table.add_row(*[f"{value:,}" if isinstance(value, int) else str(value) for value in row])
    out.print(table)
    simulated = connection.execute("select bool_or(simulated) from landing.files where status = 'loaded'").fetchone()
    if simulated and simulated[0]:
        out.print("[bold yellow]These mines are SIMULATED: no number below is about a real mine.[/bold yellow]")
    rejected = connection.execute(
        "select name, reason from landing.files where status = 'rejected' order by file_id desc limit 10"
    ).fetchall()
    for name, reason in rejected:
        out.print(f"  not loaded: {name}: {reason}", markup=False)
    if report.files:
        new = sum(file.status == "loaded" for file in report.files)
        out.print(f"New in this run: {new} file(s) loaded, {len(report.files) - new} not loaded.")


def _print_quality(out: Console, connection: psycopg.Connection) -> None:
    row = connection.execute(
        "select avg(quality), avg(completeness), avg(freshness), avg(validity), avg(consistency), "
        "count(quality) from mart.vw_metric_dq"
    ).fetchone()
    if row is None or row[0] is None:
        return
    quality, completeness, freshness, validity, consistency, metrics = row
    worst = connection.execute(
        "select metric, quality from mart.vw_metric_dq where quality is not null order by quality, metric limit 3"
    ).fetchall()
    out.print(
        f"\n[bold]Data quality[/bold] of {metrics} metrics, 0-1: {quality:.2f} (completeness {completeness:.2f}, "
        f"freshness {freshness:.2f}, validity {validity:.2f}, consistency {consistency:.2f}); lowest: "
        + ", ".join(f"{metric} {value:.2f}" for metric, value in worst)
    )


def _print_features(out: Console, connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "select category, count(*), count(*) filter (where null_rate = 1), count(*) filter (where drift_level <> "
        "'stable') from mart.feature_catalogue group by category order by min(position)"
    ).fetchall()
    service = connection.execute("select max(version) from ops.feature_services").fetchone()
    if not rows or service is None or service[0] is None:
        return
    features, empty, moved = (sum(row[column] for row in rows) for column in (1, 2, 3))
    out.print(
        f"\n[bold]Features[/bold]: {features}, served as fvi_v{service[0]} ("
        + ", ".join(f"{category} {count}" for category, count, *_ in rows)
        + f"); {empty} without any value yet; {moved} moved away from the model's training data"
    )
    furthest = connection.execute(
        "select feature, drift_psi from mart.feature_catalogue where drift_level <> 'stable' "
        "order by drift_level <> 'large', drift_psi desc nulls last, feature limit 5"
    ).fetchall()
    if furthest:
        # what all mines of a year share has no index
        listed = ", ".join(feature if psi is None else f"{feature} (PSI {psi:.2f})" for feature, psi in furthest)
        out.print(f"Furthest: {listed}. All of them: fvi drift")


def _print_champion(out: Console, connection: psycopg.Connection) -> None:
    row = connection.execute(
        "select version, metrics, reason from ops.promotions where decision = 'promoted' "
        "order by promoted_at desc limit 1"
    ).fetchone()
    if row is None:
        out.print("[bold]No champion[/bold], so no mine has a score; the index needs no model. A line with ! says why.")
        return
    version, metrics, reason = row
    tested = connection.execute(
        "select max(train_until_year), min(as_of_year), max(as_of_year) from mart.backtest_predictions "
        "where train_until_year in (select train_until_year from ops.backtest_folds where is_served)"
    ).fetchone()
    trained, first, last = tested if tested else (None, None, None)
    table = Table(
        "horizon",
        "AUC",
        "AUC, size only",
        "Brier",
        "Brier, training rate",
        "Brier, size only",
        "rows",
        title=f"Champion: version {version}, fitted on outcomes to {trained}, held out: as-of years {first}-{last}",
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for suffix, label in [(f"_h{horizon}", f"{horizon} y") for horizon in (1, 2, 3, 5, 10, 20)] + [("", "all")]:
        if f"test_brier{suffix}" not in metrics:
            table.add_row(label, *["untested"] * 6)
            continue
        names = ("auc", "size_auc", "brier", "base_rate_brier", "size_brier")
        values = [_figure(metrics.get(f"test_{name}{suffix}")) for name in names]
        table.add_row(label, *values, f"{metrics[f'test_rows{suffix}']:,.0f}")
    out.print(table)
    out.print(f"[dim]Gate: {reason}[/dim]")


def _figure(value: Any) -> str:
    return "-" if value is None else f"{float(value):.4f}"


def _print_ranking(out: Console, connection: psycopg.Connection) -> None:
    year = connection.execute("select max(as_of_year) from mart.fvi_scores").fetchone()
    if year is None or year[0] is None:
        return
    for title, order in (("Most likely", "desc"), ("Least likely", "asc")):
        rows = connection.execute(
            _RANKING.format(order=sql.SQL(order)), [RANKED_HORIZON_YEARS, year[0], _RANKED]
        ).fetchall()
        table = Table(
            "mine",
            "name",
            "state",
            "score",
            "interval",
            title=f"{title} to be producing in {year[0] + RANKED_HORIZON_YEARS} (as of {year[0]}, five years)",
        )
        table.columns[3].justify = table.columns[4].justify = "right"
        for mine_id, name, state, score, low, high in rows:
            table.add_row(mine_id, name or "", state or "", f"{score:.1f}", f"{low:.0f}-{high:.0f}")
        out.print(table)


def _print_stages(out: Console, connection: psycopg.Connection, report: RunReport, seconds: float) -> None:
    if report.stages:
        table = Table("stage", "seconds", "peak memory, MB", title="How long each stage took")
        table.columns[1].justify = table.columns[2].justify = "right"
        for stage in report.stages:
            table.add_row(
                stage.stage.replace("__", ": "), f"{stage.seconds:.1f}", f"{stage.peak_memory_megabytes:,.0f}"
            )
        out.print(table)
    out.print(f"Whole run: {seconds:.1f} s")


def _print_next(out: Console, connection: psycopg.Connection) -> None:
    row = connection.execute("select min(mine_id) from mart.fvi_scores").fetchone()
    mine_id = (row and row[0]) or "msha:3607230"
    out.print("\n[bold]What to try next[/bold]")
    lines = [
        ("UI", "make dev        # then http://127.0.0.1:3001"),
        (
            "HTTP",
            "make serve &    # then: curl -s http://127.0.0.1:3000/predict -H 'content-type: application/json' "
            f'-d \'{{"mine_id": "{mine_id}", "horizon_years": 5}}\'',
        ),
        ("words", f'.venv/bin/fvi ask "Why is {mine_id} at risk?"'),
        (
            "SQL",
            'eval "$(.venv/bin/fvi env)" && psql "$FVI_DATABASE_URL" '
            '-c "select * from mart.fvi_scores order by fvi_score limit 10"',
        ),
        ("feast", 'eval "$(.venv/bin/fvi env)" && feast feature-views list'),
    ]
    for name, command in lines:
        out.print(f"  {name:<6} {command}", markup=False)
