"""`fvi promote`, `fvi rollback`, `fvi challenge`, `fvi promotions`: which version of a model reigns or is asked beside
the one that does, by hand, and the ledger of it.

Moving the alias and writing the ledger belong to `model.ledger`, what follows from it to `run.pipeline`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from fvi_pipeline.cli.quiet import quiet_libraries

if TYPE_CHECKING:
    import psycopg

    from fvi_pipeline.model.ledger import Entry
    from fvi_pipeline.model.registry import ModelRegistry

# said here too, so that `fvi --help` does not import the models
ModelName = Literal["fvi_viability", "fvi_production", "fvi_next_status"]
_VIABILITY: ModelName = "fvi_viability"
_WIDTH_OF_FILES = 140

ModelOption = Annotated[ModelName, typer.Option("--model", help="The registered model.")]
ReasonOption = Annotated[str, typer.Option(help="Why; it is kept in ops.promotions.")]


def promote(
    version: Annotated[str, typer.Argument(help="A registered version, as MLflow numbers it.")],
    reason: ReasonOption,
    model: ModelOption = _VIABILITY,
) -> None:
    """Make a registered version the champion, past the gate, and predict with it.

    With the version that is the champion already, only what is stored is predicted again.
    """
    from fvi_pipeline.model import ledger

    def change(connection: psycopg.Connection, registry: ModelRegistry) -> str:
        return ledger.promote(connection, registry, version, reason=reason, actor=_actor())

    _change_champion(model, change)


def rollback(reason: ReasonOption = "By hand; no reason was given.", model: ModelOption = _VIABILITY) -> None:
    """Make the version before the champion the champion again, and predict with it.

    The version that is left does not come back by itself: the gate refuses it until `fvi promote` names it.
    """
    from fvi_pipeline.model import ledger

    def change(connection: psycopg.Connection, registry: ModelRegistry) -> str:
        return ledger.roll_back(connection, registry, reason=reason, actor=_actor())

    _change_champion(model, change)


def challenge(
    version: Annotated[str, typer.Argument(help="A registered version, or `none`.")],
    reason: ReasonOption,
) -> None:
    """Let a version be asked beside the champion: for FVI_CHALLENGER_SHARE of the mines, as FVI_CHALLENGER_MODE says.

    A service that runs takes it up within seconds; mart.arm_comparison tells how it does.
    """
    from fvi_pipeline.platform.environment import apply_environment, tool_environment
    from fvi_pipeline.platform.errors import PlatformError
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings

    settings = get_settings()
    quiet_libraries()
    with running_servers(settings) as servers:
        environment = tool_environment(settings, servers)
        apply_environment(environment)
        from fvi_pipeline.model import ledger
        from fvi_pipeline.model.errors import RegistryError
        from fvi_pipeline.model.registry import open_registry
        from fvi_pipeline.model.reigns import announce
        from fvi_pipeline.platform.database import connect

        tracking_uri = environment["MLFLOW_TRACKING_URI"]
        asked = None if version == "none" else version
        try:
            with connect(servers.database_url) as connection:
                registry = open_registry(tracking_uri, settings.home, _VIABILITY)
                ledger.challenge(connection, registry, asked, reason=reason, actor=_actor())
            announce(servers.redis_url, lambda name: open_registry(tracking_uri, settings.home, name))
        except RegistryError as error:
            raise PlatformError(str(error)) from error
    share = f"{settings.challenger_share:.0%} of the mines, {settings.challenger_mode}"
    print(f"Version {asked} is the challenger ({share})." if asked else "There is no challenger.")


def promotions(
    model: Annotated[ModelName | None, typer.Option("--model", help="One registered model; all unless given.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, every measurement included.")] = False,
) -> None:
    """Print the ledger: each decision on a version, who took it, when and why, the newest first."""
    from fvi_pipeline.model.ledger import entries
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings

    with running_servers(get_settings()) as servers, connect(servers.database_url) as connection:
        shown = entries(connection, model, limit)
    if as_json:
        decisions = [dataclasses.asdict(entry) for entry in shown]
        print(json.dumps({"promotions": decisions}, indent=2, default=str))
    else:
        _print(shown)


def _change_champion(model: ModelName, change: Callable[[psycopg.Connection, ModelRegistry], str]) -> None:
    from fvi_pipeline.platform.environment import apply_environment, tool_environment
    from fvi_pipeline.platform.errors import PlatformError
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings

    settings = get_settings()
    # the real stream: while a run's tools are sent to a log, its progress still reaches the terminal
    out = Console(file=sys.__stdout__, highlight=False, soft_wrap=True)
    quiet_libraries()
    with running_servers(settings) as servers:
        environment = tool_environment(settings, servers)
        apply_environment(environment)
        from fvi_pipeline.model.errors import RegistryError
        from fvi_pipeline.model.registry import open_registry
        from fvi_pipeline.platform.database import connect
        from fvi_pipeline.run.pipeline import RunFailed, change_champion

        def reign() -> str:
            with connect(servers.database_url) as connection:
                return change(connection, open_registry(environment["MLFLOW_TRACKING_URI"], settings.home, model))

        try:
            change_champion(settings, servers, lambda text: out.print(text, markup=False), model, reign)
        except (RegistryError, RunFailed) as error:
            raise PlatformError(str(error)) from error
    served = ", and its Bento is built: `make serve` serves it" if model == _VIABILITY else ""
    out.print(f"Its predictions are stored{served}.", markup=False)


def _print(shown: list[Entry]) -> None:
    out = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_FILES, highlight=False)
    if not shown:
        out.print("Nothing has been decided yet: `fvi run` trains and judges.")
        return
    why = Column("why", overflow="fold")
    table = Table("when", "model", "version", "before", "decision", "by", why, box=None, pad_edge=False)
    for entry in shown:
        table.add_row(
            f"{entry.promoted_at:%Y-%m-%d %H:%M}",
            entry.model_name,
            entry.version,
            entry.previous_version or "–",
            entry.decision.replace("_", " "),
            entry.actor,
            Text(entry.reason),
        )
    out.print(table)


def _actor() -> str:
    import getpass

    return getpass.getuser()
