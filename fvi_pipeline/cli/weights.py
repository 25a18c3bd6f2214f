"""`fvi weights`: the weights in force with what moved and why, overrides, and the test of the idea. `fvi index`: what a
mine's index is made of. The arithmetic belongs to `weights`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from fvi_pipeline.cli.quiet import quiet_libraries

if TYPE_CHECKING:
    import psycopg
    import redis

    from fvi_pipeline.weights.movements import Movement

app = typer.Typer(invoke_without_command=True, help="The weights of the index: what moved since last night and why.")
_WIDTH_OF_FILES = 150

MetricArgument = Annotated[str, typer.Argument(help="A metric, as `fvi weights` names it.")]
AuthorOption = Annotated[str | None, typer.Option(help="Who decides it; unless given, who is logged in.")]


@app.callback()
def weights(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the weights in force, the heaviest first, with what moved since the night before and why."""
    if context.invoked_subcommand is not None:
        return
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings
    from fvi_pipeline.weights.movements import movements
    from fvi_pipeline.weights.store import newest_nights

    with running_servers(get_settings()) as servers, connect(servers.database_url) as connection:
        nights = newest_nights(connection)
    if not nights:
        _fail("There are no weights yet: `fvi run` computes the first night's.")
    night, now = nights[0]
    before, earlier = nights[1] if len(nights) > 1 else (None, [])
    moved = movements(earlier, now)
    if as_json:
        rows = [{**dataclasses.asdict(m.weight), "change": m.change, "reasons": list(m.reasons)} for m in moved]
        print(json.dumps({"night": night, "night_before": before, "weights": rows}, indent=2, default=str))
    else:
        _print(night, before, moved)


@app.command("set")
def set_weight(
    metric: MetricArgument,
    weight: Annotated[float, typer.Argument(min=0, max=1, help="0 to 1, as bounded weights are.")],
    reason: Annotated[str, typer.Option(help="Why; it is kept and shown with the weight.")],
    author: AuthorOption = None,
) -> None:
    """Set a metric's weight in place of the dynamic one, from now on; the index follows at once."""
    from fvi_pipeline.weights.dynamic_weights import Override
    from fvi_pipeline.weights.overrides import set_override

    override = Override(metric, weight, author or _user(), reason)
    _change(lambda connection, client: set_override(connection, client, override, datetime.now(UTC)))
    _out().print(f"{metric} counts {weight:g} from now on, by {override.author}: {reason}", markup=False)


@app.command("release")
def release(metric: MetricArgument, author: AuthorOption = None) -> None:
    """End a metric's override: its dynamic weight, which went on beneath, is in force again."""
    from fvi_pipeline.weights.overrides import release_override

    who = author or _user()
    _change(lambda connection, client: release_override(connection, client, metric, who, datetime.now(UTC)))
    _out().print(f"{metric} has its dynamic weight again.", markup=False)


@app.command("test")
def measure_separation(
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="Write docs/index_separation.md and its picture.")
    ] = False,
) -> None:
    """Measure whether dynamic weights help the index, on years that they never saw."""
    from fvi_pipeline.platform.environment import apply_environment, tool_environment
    from fvi_pipeline.platform.errors import PlatformError
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import PROJECT_ROOT, get_settings

    settings = get_settings()
    quiet_libraries()
    with running_servers(settings) as servers:
        apply_environment(tool_environment(settings, servers))
        import dagster as dg

        from fvi_pipeline.defs import separation as assets
        from fvi_pipeline.defs.resources import Warehouse
        from fvi_pipeline.weights.errors import WeightsError
        from fvi_pipeline.weights.separation_report import separation_table, verdict
        from fvi_pipeline.weights.separation_report import write_docs as write_pages

        try:
            measured = assets.measure(Warehouse(database_url=servers.database_url))
        except WeightsError as error:
            raise PlatformError(str(error)) from error
        with dg.DagsterInstance.get() as instance:
            instance.report_runless_asset_event(
                dg.AssetMaterialization(asset_key=assets.SEPARATION, metadata=assets.described(measured))
            )
    out = _out()
    out.print(separation_table(measured), markup=False)
    out.print(verdict(measured), markup=False)
    if write_docs:
        source = f"on as-of years {measured[0].first_year} to {max(each.last_year for each in measured)}"
        for path in write_pages(measured, source, PROJECT_ROOT / "docs"):
            out.print(f"Written: {path.relative_to(PROJECT_ROOT)}", markup=False)


def _change(change: Callable[[psycopg.Connection, redis.Redis], None]) -> None:
    import redis

    from fvi_pipeline.platform.environment import apply_environment, tool_environment
    from fvi_pipeline.platform.errors import PlatformError
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings
    from fvi_pipeline.weights.errors import WeightsError

    settings = get_settings()
    quiet_libraries()
    out = Console(file=sys.__stdout__, highlight=False, soft_wrap=True)
    with running_servers(settings) as servers:
        apply_environment(tool_environment(settings, servers))
        from fvi_pipeline.platform.database import connect
        from fvi_pipeline.run.pipeline import RunFailed, change_weights
        from fvi_pipeline.weights.store import REDIS_SECONDS

        def in_one_step() -> None:
            with (
                connect(servers.database_url) as connection,
                redis.Redis.from_url(servers.redis_url, socket_timeout=REDIS_SECONDS) as client,
            ):
                change(connection, client)

        try:
            change_weights(settings, servers, lambda text: out.print(text, markup=False), in_one_step)
        except (WeightsError, RunFailed, redis.RedisError) as error:
            raise PlatformError(str(error)) from error


def _print(night: date, before: date | None, moved: list[Movement]) -> None:
    out = _out()
    right = [Column(name, justify="right") for name in ("weight", "change", "base", "quality", "gain")]
    title = f"Weights of {night}" + (f", changes since {before}" if before else ", the first night")
    table = Table("metric", *right, Column("why", overflow="fold"), title=title, box=None, pad_edge=False)
    for each in moved:
        weight = each.weight
        table.add_row(
            weight.metric,
            f"{weight.weight:.4f}",
            "" if each.change is None else f"{each.change:+.4f}",
            f"{weight.base_weight:g}",
            f"{weight.quality:.3f}",
            "–" if weight.information_gain is None else f"{weight.information_gain:.4f}",
            Text("; ".join(each.reasons) or "unmoved"),
        )
    out.print(table)
    out.print("weight: share of the index · gain: part of the uncertainty of viability at t+3 that the metric tells")


def _out() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)


def _user() -> str:
    import getpass

    return getpass.getuser()


def _fail(message: str) -> None:
    from fvi_pipeline.platform.errors import PlatformError

    raise PlatformError(message)
