"""The search for parameters: an Optuna study by generations, which any number of processes can work on.

What a trial tries and whether it is cut short follows from the seed and from the trials of earlier generations alone:
so the study is the same whoever works on it, in whatever order, and however often somebody is killed. Fitting belongs
in `training`, starting processes in `tuning_process`.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fvi_pipeline.model.dataset import Part, Split
from fvi_pipeline.model.training import (
    BoosterParameters,
    TrainingSettings,
    Tuned,
    booster_parameters,
    fitting_data,
    row_weights,
    yearly_columns,
)
from fvi_pipeline.platform.database import advisory_lock, connect

if TYPE_CHECKING:
    import lightgbm
    import optuna
    import psycopg

Say = Callable[[str], None]
GENERATION = 4
"""Slots that follow from the same earlier ones; as many processes can work at once."""
_REPORT_ROUNDS = 25
WARM_UP_ROUNDS = 75
"""Trees that every trial gets before it can be given up."""
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 120.0
_ROWS_WORTH_HELP = 20_000  # with fewer, the trials are done before a process has read its imports


@dataclass(frozen=True)
class TuningRows:
    """What the trials fit on and what stops them: rows with outcomes up to T."""

    fit: Part
    stopping: Part


def tune(
    split: Split,
    feature_names: list[str],
    settings: TrainingSettings,
    *,
    storage_url: str | None,
    lineage: str,
    processes: int = 1,
    say: Say | None = None,
) -> Tuned:
    """Try parameters on the tuning fit, stop each boosting on the stopping rows, and return the best.

    Args:
        split: gives the rows; no other part of it is looked at.
        feature_names: the features in the order of the model.
        settings: seed, start and number of trials.
        storage_url: PostgreSQL for the study, which others may join; None: in memory.
        lineage: tells data and code apart from others.
        processes: how many of this machine work on the study, this one among them; few rows are left to this one.
        say: told of each trial that ends, and of helpers that fail.
    """
    from fvi_pipeline.model.tuning_process import helping

    rows = TuningRows(split.tuning_fit, split.stopping)
    name = study_name(lineage, split.train_until_year, settings)
    search = Search(name, rows, feature_names, settings, storage_url=storage_url, say=say)
    helpers = processes - 1 if len(rows.fit) >= _ROWS_WORTH_HELP and not search.is_finished else 0
    if storage_url is None or helpers < 1:
        return search.finish()
    with helping(helpers, name, rows, feature_names, settings, storage_url, say or (lambda _: None)):
        return search.finish()


class Search:
    """One study: its slots, and the work on those that nobody has finished."""

    def __init__(
        self,
        name: str,
        rows: TuningRows,
        feature_names: list[str],
        settings: TrainingSettings,
        *,
        storage_url: str | None,
        say: Say | None = None,
    ) -> None:
        """Open the study or begin it.

        Args:
            name: of the study; the same for all who work on it.
            rows: the same for all who work on it.
            feature_names: the features in the order of the model.
            settings: the search; `trials` says how many slots this process works towards.
            storage_url: PostgreSQL with the study; None: in memory, for this process alone.
            say: told of each slot that ends, wherever it was worked on.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._rows, self._names, self._settings = rows, feature_names, settings
        self._say: Say = say or (lambda _: None)
        self._seen: set[int] = set()
        self._claims: _Claims | None
        if storage_url is None:
            self._claims = None
            self._study = optuna.create_study(study_name=name, direction="minimize")
        else:
            self._claims = _Claims(storage_url, name)
            with self._claims.alone():  # the first to come makes Optuna's tables
                storage = optuna.storages.RDBStorage(storage_url)
                self._study = optuna.create_study(
                    study_name=name, storage=storage, direction="minimize", load_if_exists=True
                )

    def finish(self) -> Tuned:
        """Work on open slots and wait for those of others until all are done, and return the best."""
        waiting_since, longest = time.monotonic(), 0.0
        try:
            while open_slots := self._open_slots():
                patience = max(_PATIENCE_SECONDS, 5 * longest)
                impatient = time.monotonic() - waiting_since > patience
                worked = self._work_on_one(open_slots, although_claimed=impatient)
                if worked is None:
                    time.sleep(_POLL_SECONDS)
                else:
                    waiting_since, longest = time.monotonic(), max(longest, worked)
        finally:
            if self._claims is not None:
                self._claims.close()
        return self._best()

    @property
    def is_finished(self) -> bool:
        """Whether no slot is open."""
        return all(slot in self._finished() for slot in range(self._settings.trials))

    def _open_slots(self) -> list[int]:
        # of the first generation that is not done: later ones follow from it
        finished = self._finished()
        for slot in sorted(finished.keys() - self._seen):
            self._seen.add(slot)
            self._say(_in_words(slot, finished[slot], self._settings.trials))
        first = next((slot for slot in range(self._settings.trials) if slot not in finished), None)
        if first is None:
            return []
        end = min((first // GENERATION + 1) * GENERATION, self._settings.trials)
        return [slot for slot in range(first, end) if slot not in finished]

    def _work_on_one(self, slots: list[int], *, although_claimed: bool) -> float | None:
        # seconds of the slot that was worked on; None: others are at work on all
        for slot in slots:
            claimed = self._claims is None or self._claims.claim(slot)
            # a process that hangs holds its claim: its slot is done again, with the same result
            if not claimed and not although_claimed:
                continue
            started = time.monotonic()
            try:
                if slot not in self._finished():
                    self._run(slot)
            finally:
                if self._claims is not None and claimed:
                    self._claims.release(slot)
            return time.monotonic() - started
        return None

    def _run(self, slot: int) -> None:
        import optuna

        started = time.monotonic()
        space = search_space()
        view = self._view_of_earlier(slot)
        if slot == 0:
            view.enqueue_trial({name: getattr(self._settings.start, name) for name in space})
        trial = view.ask(space)
        parameters = _with(self._settings.start, trial.params)
        state = optuna.trial.TrialState.COMPLETE
        try:
            loss, rounds = self._stopped_fit(parameters, trial)
        except optuna.TrialPruned:
            state, loss, rounds = optuna.trial.TrialState.PRUNED, None, 0
        reported = view.get_trials(deepcopy=False)[-1].intermediate_values
        # written whole when it is done: a process that is killed leaves nothing behind
        self._study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=loss,
                params=trial.params,
                distributions=space,
                intermediate_values=reported,
                user_attrs={
                    "slot": slot,
                    "rounds": rounds,
                    "seconds": round(time.monotonic() - started, 1),
                    "process": f"{socket.gethostname()}:{os.getpid()}",
                },
            )
        )

    def _view_of_earlier(self, slot: int) -> optuna.Study:
        import optuna

        finished = self._finished()
        view = optuna.create_study(
            direction="minimize",
            # a sampler of its own for each slot: its draws do not depend on what this process drew before
            sampler=optuna.samplers.TPESampler(seed=self._settings.seed + slot, n_startup_trials=GENERATION),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=GENERATION, n_warmup_steps=WARM_UP_ROUNDS),
        )
        view.add_trials([finished[earlier] for earlier in range(slot // GENERATION * GENERATION)])
        return view

    def _stopped_fit(self, parameters: BoosterParameters, trial: optuna.Trial) -> tuple[float, int]:
        import lightgbm
        import optuna

        fit_data, stopping_data = self._data

        def report(state: lightgbm.callback.CallbackEnv) -> None:
            if (state.iteration + 1) % _REPORT_ROUNDS == 0:
                trial.report(state.evaluation_result_list[0][2], state.iteration + 1)
                if trial.should_prune():
                    raise optuna.TrialPruned

        booster = lightgbm.train(
            {**booster_parameters(parameters, self._names, self._yearly, self._settings), "metric": "binary_logloss"},
            fit_data,
            num_boost_round=self._settings.maximum_rounds,
            valid_sets=[stopping_data],
            valid_names=["stopping"],
            callbacks=[report, lightgbm.early_stopping(self._settings.stopping_rounds, verbose=False)],
        )
        return float(booster.best_score["stopping"]["binary_logloss"]), int(booster.best_iteration)

    @cached_property
    def _data(self) -> tuple[lightgbm.Dataset, lightgbm.Dataset]:
        fit_data = fitting_data(self._rows.fit, self._names, self._settings.start.max_bin, self._settings)
        stopping = self._rows.stopping
        weights = row_weights(stopping, self._settings)
        return fit_data, fit_data.create_valid(stopping.features, label=stopping.viable, weight=weights)

    @cached_property
    def _yearly(self) -> list[bool]:
        return yearly_columns(self._rows.fit)

    def _finished(self) -> dict[int, optuna.trial.FrozenTrial]:
        # where two did the same slot, the first counts; the other says the same
        return {int(trial.user_attrs["slot"]): trial for trial in reversed(self._study.get_trials(deepcopy=False))}

    def _best(self) -> Tuned:
        import optuna

        finished = self._finished()
        trials = [finished[slot] for slot in range(self._settings.trials)]
        complete = [trial for trial in trials if trial.state == optuna.trial.TrialState.COMPLETE]
        best = min(complete, key=lambda trial: (trial.value, trial.user_attrs["slot"]))
        return Tuned(
            parameters=_with(self._settings.start, best.params),
            rounds=int(best.user_attrs["rounds"]),
            stopping_log_loss=float(best.value or 0.0),
            trials=len(trials),
            pruned=len(trials) - len(complete),
        )


class _Claims:
    """Who works on which slot: advisory locks, which the server frees when their holder dies."""

    def __init__(self, storage_url: str, study: str) -> None:
        self._connection: psycopg.Connection = connect(storage_url, autocommit=True)
        self._study = study

    def alone(self) -> AbstractContextManager[None]:
        """For the block, no other process opens a study."""
        return advisory_lock(self._connection, "optuna studies")

    def claim(self, slot: int) -> bool:
        """Take the slot unless somebody has it."""
        query = "select pg_try_advisory_lock(hashtextextended(%s, 0))"
        row = self._connection.execute(query, [self._name(slot)]).fetchone()
        return bool(row and row[0])

    def release(self, slot: int) -> None:
        """Give a slot back."""
        self._connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [self._name(slot)])

    def close(self) -> None:
        """Give all back."""
        self._connection.close()

    def _name(self, slot: int) -> str:
        return f"{self._study} {slot}"


def study_name(lineage: str, train_until_year: int, settings: TrainingSettings) -> str:
    """The name of the study of these data, code and settings; more trials go on with the same one."""
    identity = f"{lineage} {train_until_year} {settings.model_dump_json(exclude={'trials', 'threads'})}"
    return f"fvi_viability-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"


def search_space() -> dict[str, optuna.distributions.BaseDistribution]:
    """The parameters that the trials vary, and how far."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        "num_leaves": IntDistribution(5, 24, log=True),
        "min_data_in_leaf": IntDistribution(50, 300, log=True),
        # with fewer the horizon is missing from most trees
        "feature_fraction": FloatDistribution(0.6, 1.0),
        "bagging_fraction": FloatDistribution(0.5, 0.9),
        "lambda_l2": FloatDistribution(1.0, 50.0, log=True),
    }


def _with(start: BoosterParameters, tried: dict[str, Any]) -> BoosterParameters:
    return BoosterParameters.model_validate({**start.model_dump(), **tried})


def _in_words(slot: int, trial: optuna.trial.FrozenTrial, trials: int) -> str:
    of = f"Trial {slot + 1} of {trials}"
    took = f"{trial.user_attrs['seconds']:.0f} s, {trial.user_attrs['process']}"
    if trial.value is None:
        return f"{of}: given up after {max(trial.intermediate_values, default=0)} trees ({took})"
    return f"{of}: log loss {trial.value:.5f} with {trial.user_attrs['rounds']} trees ({took})"
