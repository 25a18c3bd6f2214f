"""`fvi backtest`: the folds and the rivals with their progress, and the table. What they are belongs to
`model.backtest`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
    from fvi_pipeline.model.backtest.comparison import Comparison
    from fvi_pipeline.platform.settings import Settings

_WIDTH_OF_FILES = 160


def backtest(
    rivals: Annotated[
        bool, typer.Option("--rivals/--no-rivals", help="Fit the rivals too; an unchanged fold of one is kept.")
    ] = True,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="Write docs/model_comparison.md and its pictures.")
    ] = False,
    until: Annotated[
        int | None,
        typer.Option(
            "--until",
            help="For development: as if the last known outcome were of this year. Every fold is fitted anew, nothing "
            "is stored, and no later outcome is looked at.",
        ),
    ] = None,
) -> None:
    """Test the model from many origins beside simpler ones and print the comparison; only what is new is computed."""
    from rich.console import Console

    from fvi_pipeline.platform.environment import apply_environment, tool_environment
    from fvi_pipeline.platform.errors import PlatformError
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings

    if write_docs and (until is not None or not rivals):
        raise typer.BadParameter(
            "--write-docs writes the whole comparison: it goes with neither --until nor --no-rivals."
        )
    settings = get_settings()
    out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
    with running_servers(settings) as servers:
        environment = tool_environment(settings, servers)
        apply_environment(environment)
        import dagster as dg

        from fvi_pipeline.defs.resources import Warehouse
        from fvi_pipeline.model.errors import ModelError

        warehouse, workshop = Warehouse(database_url=servers.database_url), _workshop(settings, environment)
        try:
            if until is None:
                _bring_up_to_date(out, warehouse, workshop, rivals=rivals, write_docs=write_docs)
            else:
                _develop(out, warehouse, workshop, until, rivals=rivals)
        except (ModelError, dg.Failure) as error:
            raise PlatformError(str(error.description if isinstance(error, dg.Failure) else error)) from error


def _workshop(settings: Settings, environment: Mapping[str, str]) -> ModelWorkshop:
    from fvi_pipeline.defs.resources import ModelWorkshop

    return ModelWorkshop(
        mlflow_tracking_uri=environment["MLFLOW_TRACKING_URI"],
        optuna_storage_url=environment["FVI_OPTUNA_STORAGE_URL"],
        home=str(settings.home),
        seed=settings.seed,
        trials=settings.optuna_trials,
        tuning_processes=settings.tuning_processes,
        backtest_origins=settings.backtest_origins,
    )


def _bring_up_to_date(
    out: Console, warehouse: Warehouse, workshop: ModelWorkshop, *, rivals: bool, write_docs: bool
) -> None:
    import dagster as dg

    from fvi_pipeline.defs import backtest as assets
    from fvi_pipeline.model.backtest.comparison import compare
    from fvi_pipeline.model.backtest.report import write_docs as write_pages
    from fvi_pipeline.model.backtest.rivals import all_rivals
    from fvi_pipeline.model.backtest.rolling import roll, roll_rivals
    from fvi_pipeline.model.backtest.store import read_predictions
    from fvi_pipeline.platform.settings import PROJECT_ROOT

    def say(text: str) -> None:
        out.print(text, markup=False)

    with dg.DagsterInstance.get() as instance, warehouse.connect() as connection:
        prepared = assets.prepare(warehouse, workshop, instance)
        rolled = roll(
            connection, prepared.backtest, prepared.policy, prepared.served, say, processes=workshop.tuning_processes
        )
        assets.note(instance, assets.BACKTEST, assets.rolled_metadata(rolled))
        if rivals:
            of_rivals = roll_rivals(connection, prepared.backtest, all_rivals(), say)
            assets.note(instance, assets.RIVALS, assets.rolled_metadata(of_rivals))
        predictions = read_predictions(connection, with_rivals=rivals)
        compared = compare(predictions, served_until_year=prepared.backtest.served_until_year)
        if rivals:
            assets.note(instance, assets.COMPARISON, assets.log_and_describe(workshop, compared, predictions))
    _print(out, compared)
    if write_docs:
        for path in write_pages(compared, predictions, PROJECT_ROOT / "docs"):
            say(f"Written: {path.relative_to(PROJECT_ROOT)}")


def _develop(out: Console, warehouse: Warehouse, workshop: ModelWorkshop, until: int, *, rivals: bool) -> None:
    from fvi_pipeline.defs import backtest as assets
    from fvi_pipeline.model.backtest.comparison import compare
    from fvi_pipeline.model.backtest.rivals import all_rivals
    from fvi_pipeline.model.backtest.rolling import predict_all

    backtest, policy = assets.open_rows(warehouse, workshop, until=until)
    chosen = all_rivals() if rivals else []

    def say(text: str) -> None:
        out.print(text, markup=False)

    predictions = predict_all(backtest, policy, chosen, say, processes=workshop.tuning_processes)
    _print(out, compare(predictions))


def _print(out: Console, compared: Comparison) -> None:
    from rich.table import Table

    from fvi_pipeline.model.backtest.report import held_in_words, table_header, table_rows

    header = table_header()
    table = Table(*header, title=f"Fitted on outcomes to {', '.join(map(str, compared.folds))}; tested on later years")
    for column in (*table.columns[:1], *table.columns[2:]):
        column.justify = "right"
    horizon = None
    for row in table_rows(compared):
        if horizon not in (None, row[0]):
            table.add_section()
        horizon = row[0]
        table.add_row(*row)
    out.print(table)
    out.print("▼ worse than the product beyond the noise, ▲ better (paired bootstrap of whole mines)")
    out.print(f"Calibration error of the product, by fold and horizon: {held_in_words(compared)}")
