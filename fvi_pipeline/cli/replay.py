"""`fvi run --as-of`: a replay with its progress and summary. Making and comparing belong to `fvi_pipeline.replay`."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from fvi_pipeline.cli.moment import moment_of

if TYPE_CHECKING:
    import psycopg

    from fvi_pipeline.replay.comparison import TableComparison
    from fvi_pipeline.replay.moment import Moment
    from fvi_pipeline.replay.rebuild import Replay


def replay_gold(out: Console, as_of: str, *, as_received: bool, drop: bool) -> None:
    """Rebuild gold from what was known then, beside the live tables, and compare; or drop that replay.

    Raises:
        typer.BadParameter: `as_of` is no time, or one to come.
        typer.Exit: the replay differs from what is stored (code 1).
        ReplayError: nothing was known then, there is no such replay to drop, or dbt failed.
    """
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.dbt_manifest import project_digest
    from fvi_pipeline.platform.environment import apply_environment, tool_environment
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings
    from fvi_pipeline.replay.dbt_process import dbt_process
    from fvi_pipeline.replay.rebuild import replay

    moment = _past(as_of, as_received)
    settings = get_settings()

    def say(text: str) -> None:
        out.print(text, markup=False)

    with running_servers(settings) as servers:
        apply_environment(tool_environment(settings, servers))
        with connect(servers.database_url, autocommit=True) as connection:
            if drop:
                _drop(out, connection, moment)
                return
            say(f"Gold from what was known {moment}, from scratch …")
            project = project_digest(settings.dbt_project_dir)
            made = replay(connection, moment, project, dbt_process(settings, say), say)
        _print(out, made)
        from fvi_pipeline.defs.replay import note_replay

        note_replay(made)
    if made.differs:
        raise typer.Exit(1)


def _past(as_of: str, as_received: bool) -> Moment:
    from fvi_pipeline.replay.moment import Moment

    at = moment_of(as_of)
    now = datetime.now(UTC)
    # today is known as far as it has gone, and its end is its name
    if at > datetime.combine(now.date(), time.max, UTC) or (at > now and at.astimezone(UTC).time() != time.max):
        raise typer.BadParameter(f"{as_of} is in the future: nobody knows yet what will be known then.")
    return Moment(at, as_received)


def _drop(out: Console, connection: psycopg.Connection, moment: Moment) -> None:
    from fvi_pipeline.replay.errors import ReplayError
    from fvi_pipeline.replay.schemas import drop, kept_replays

    dropped = drop(connection, moment)
    if not dropped:
        kept = ", ".join(kept_replays(connection)) or "none"
        raise ReplayError(f"There is no replay {moment.name}. There are: {kept}.")
    out.print(f"Dropped {', '.join(dropped)}.", markup=False)


def _print(out: Console, made: Replay) -> None:
    from fvi_pipeline.replay.schemas import schema_of

    out.print()
    gold = schema_of("gold", made.moment)
    compared = {table.table: table for table in made.comparison}
    table = Table("table", "rows", "compared with what is stored", "stored rows", title=gold)
    table.columns[1].justify = table.columns[3].justify = "right"
    for name, rows in made.rows.items():
        match = compared.get(name)
        if match is None:
            table.add_row(name, f"{rows:,}", "[dim]not compared[/dim]", "")
            continue
        verdict = "[green]equal[/green]" if match.equal else _what_differs(match)
        table.add_row(name, f"{rows:,}", f"{verdict}: {match.rows}", f"{match.stored_rows:,}")
    out.print(table)
    if made.newest_fact is not None:
        known_at, view = made.newest_fact
        out.print(f"Newest fact that was known: {known_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC ({view})")
    if made.not_compared is not None:
        out.print(f"Not compared: {made.not_compared}", markup=False)
    elif made.first_difference is not None:
        out.print(f"It DIFFERS from what is stored, first in {made.first_difference}", markup=False)
    else:
        out.print("It is what is stored about that time, row for row and bit for bit.")
    out.print(f"Schemas: {', '.join(made.schemas)}. Whole replay: {made.seconds:.1f} s", markup=False)
    out.print(f'SQL: psql "$FVI_DATABASE_URL" -c "table {gold}.gold_mine_features limit 10"', markup=False)


def _what_differs(match: TableComparison) -> str:
    return f"[red]differs[/red] ({match.stored_only:,} rows stored only, {match.replayed_only:,} replayed only)"
