"""Running the folds: each is computed once for what it is made from, stored when it is done, and removed when its
origin no longer exists. A killed run goes on at the fold that it had not stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl
import psycopg

from fvi_pipeline.model.backtest.fold_process import ROWS_WORTH_A_PROCESS, folds_at_once
from fvi_pipeline.model.backtest.folds import (
    Backtest,
    BacktestPolicy,
    fold_code_version,
    fold_of,
    fold_predictions,
    origins,
    rows_of,
    served_predictions,
    settings_digest,
)
from fvi_pipeline.model.backtest.rivals import Rival, rival_predictions
from fvi_pipeline.model.backtest.store import (
    PRODUCT,
    remove_other_folds,
    replace_fold,
    stored_digests,
    stored_models,
)
from fvi_pipeline.model.errors import DatasetError
from fvi_pipeline.model.scoring import ViabilityModel

Say = Callable[[str], None]


@dataclass
class Rolled:
    """What a run did: the folds it computed, found unchanged and removed, as (model, T), and its test rows."""

    computed: list[tuple[str, int]] = field(default_factory=list)
    unchanged: list[tuple[str, int]] = field(default_factory=list)
    removed: list[tuple[str, int]] = field(default_factory=list)
    impossible: dict[int, str] = field(default_factory=dict)
    """T that have too few rows for a fold, and why."""

    @property
    def years(self) -> list[int]:
        """T of the folds that are stored now."""
        return sorted({until for _, until in (*self.computed, *self.unchanged)})


def roll(
    connection: psycopg.Connection,
    backtest: Backtest,
    policy: BacktestPolicy,
    served: ViabilityModel,
    say: Say,
    *,
    processes: int = 1,
) -> Rolled:
    """Bring the folds of the product up to date; that of the served origin is the served model's own answer."""
    rows = rows_of(backtest)
    years = origins(rows, backtest.split, backtest.served_until_year, policy)
    done = Rolled()
    stored = stored_digests(connection, PRODUCT)
    done.removed = [(PRODUCT, until) for until in remove_other_folds(connection, PRODUCT, years)]
    digests: dict[int, str] = {}
    for until in years:
        fold = fold_of(rows, backtest.split, until)
        is_served = until == backtest.served_until_year
        shaped_by = (served.onnx_sha256,) if is_served else (fold_code_version(), settings_digest(backtest))
        digest = fold.digest(backtest.features, *shaped_by)
        if stored.get(until) == digest:
            done.unchanged.append((PRODUCT, until))
        elif is_served:
            answers = served_predictions(served, fold.test, until)
            replace_fold(connection, PRODUCT, until, answers, digest=digest, seconds=0.0, is_served=True)
            done.computed.append((PRODUCT, until))
            say(f"outcomes to {until}: {answers.height:,} test rows, answered by the challenger itself")
        else:
            digests[until] = digest
    started = time.monotonic()
    for number, (until, answer) in enumerate(_answers(backtest, list(digests), processes), start=1):
        title = f"fold {number} of {len(digests)} that are new, outcomes to {until}"
        if isinstance(answer, DatasetError):
            done.impossible[until] = str(answer)
            say(f"{title}: left out. {answer}")
            remove_other_folds(connection, PRODUCT, set(years) - set(done.impossible))
            continue
        seconds, started = time.monotonic() - started, time.monotonic()
        replace_fold(connection, PRODUCT, until, answer, digest=digests[until], seconds=seconds)
        done.computed.append((PRODUCT, until))
        say(f"{title}: {answer.height:,} test rows, {seconds:.1f} s")
    return done


def _answers(backtest: Backtest, years: list[int], processes: int) -> Iterator[tuple[int, pl.DataFrame | DatasetError]]:
    if processes > 1 and len(years) > 1 and backtest.frame.height >= ROWS_WORTH_A_PROCESS:
        yield from folds_at_once(backtest, years, processes)
        return
    for until in years:
        try:
            yield until, fold_predictions(backtest, until)
        except DatasetError as error:
            yield until, error


def roll_rivals(connection: psycopg.Connection, backtest: Backtest, rivals: Sequence[Rival], say: Say) -> Rolled:
    """Fit every rival on the rows of every stored fold of the product and store what it says of the test rows."""
    rows = rows_of(backtest)
    years = sorted(stored_digests(connection, PRODUCT))
    done = Rolled()
    names = {rival.name for rival in rivals}
    for model in [*sorted(names), *(set(stored_models(connection)) - names - {PRODUCT})]:
        kept = years if model in names else []
        done.removed += [(model, until) for until in remove_other_folds(connection, model, kept)]
    stored = {rival.name: stored_digests(connection, rival.name) for rival in rivals}
    for number, until in enumerate(years, start=1):
        fold = fold_of(rows, backtest.split, until)
        rows_digest = fold.digest(backtest.features, backtest.size_feature, backtest.split.model_dump_json())
        for rival in rivals:
            digest = f"{rows_digest} {rival.version}"
            if stored[rival.name].get(until) == digest:
                done.unchanged.append((rival.name, until))
                continue
            started = time.monotonic()
            answers = rival_predictions(backtest, fold, rival)
            seconds = time.monotonic() - started
            replace_fold(connection, rival.name, until, answers, digest=digest, seconds=seconds)
            done.computed.append((rival.name, until))
            say(f"fold {number} of {len(years)}, outcomes to {until}: {rival.name}, {seconds:.1f} s")
    return done


def predict_all(
    backtest: Backtest, policy: BacktestPolicy, rivals: Sequence[Rival], say: Say, *, processes: int = 1
) -> pl.DataFrame:
    """All folds of the product and the rivals anew, as `store.read_predictions` gives them; nothing is stored.

    Raises:
        DatasetError: the years do not suffice for a single fold.
    """
    rows = rows_of(backtest)
    years = origins(rows, backtest.split, backtest.served_until_year, policy)
    parts: list[pl.DataFrame] = []

    def keep(model: str, until: int, answers: pl.DataFrame, seconds: float) -> None:
        parts.append(answers.drop("interval_low", "interval_high", strict=False).with_columns(model=pl.lit(model)))
        say(f"outcomes to {until}: {model}, {answers.height:,} test rows, {seconds:.1f} s")

    started = time.monotonic()
    for until, answers in _answers(backtest, years, processes):
        if isinstance(answers, DatasetError):
            say(f"outcomes to {until}: left out. {answers}")
            continue
        keep(PRODUCT, until, answers, time.monotonic() - started)
        fold = fold_of(rows, backtest.split, until)
        for rival in rivals:
            started = time.monotonic()
            of_rival = rival_predictions(backtest, fold, rival)
            keep(rival.name, until, of_rival, time.monotonic() - started)
        started = time.monotonic()
    if not parts:
        raise DatasetError("The years do not suffice for a single fold. Load more of them.")
    return pl.concat(parts)
