"""Fitting: LightGBM with a few Optuna trials, early stopping on later years, the same bytes for the same
data and seed.

Choosing what to fit on belongs in `dataset`, judging the result in `evaluation`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from fvi_pipeline.model.dataset import HORIZON, Part, Split

if TYPE_CHECKING:
    import lightgbm
    import optuna


# LightGBM predicts for a value within this bound of zero as for zero
_ZERO_BOUND = np.float32(1e-35)


class BoosterParameters(BaseModel):
    """What LightGBM is told. Modes that its ONNX form gets silently wrong are not values of these types."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    objective: Literal["binary"] = "binary"
    boosting: Literal["gbdt"] = "gbdt"
    linear_tree: Literal[False] = False
    zero_as_missing: Literal[False] = False
    # with use_missing off, LightGBM reads NaN as zero
    use_missing: Literal[True] = True
    learning_rate: float = Field(default=0.05, gt=0, le=1)
    num_leaves: int = Field(default=15, ge=2, le=255)
    min_data_in_leaf: int = Field(default=100, ge=1)
    feature_fraction: float = Field(default=0.6, gt=0, le=1)
    bagging_fraction: float = Field(default=0.7, gt=0, le=1)
    bagging_freq: int = Field(default=1, ge=0)
    lambda_l2: float = Field(default=10.0, ge=0)


class TrainingSettings(BaseModel):
    """How a model is searched for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 20240401
    trials: int = Field(default=8, ge=1)
    start: BoosterParameters = BoosterParameters()
    """The first trial: parameters that did well on validation years of the U.S. panel."""
    maximum_rounds: int = Field(default=800, ge=1)
    stopping_rounds: int = Field(default=50, ge=1)
    threads: int = Field(default=1, ge=1)
    """The trees do not depend on it. One is right beside other work: LightGBM's threads spin while they wait
    for each other, and on a busy machine two take several times as long as one."""


@dataclass(frozen=True)
class Tuned:
    """The outcome of the trials: the parameters, the number of trees and the log loss on the "
    "stopping rows."""

    parameters: BoosterParameters
    rounds: int
    stopping_log_loss: float
    trials: int


def tune(
    split: Split,
    feature_names: list[str],
    settings: TrainingSettings,
    *,
    storage_url: str | None,
    lineage: str,
) -> Tuned:
    """Try parameters on the tuning fit, stop each boosting on the stopping rows, and return the best.

    The study lies in `storage_url` (SQLAlchemy; None: in memory); `lineage` has to tell data and code apart
    from others. The trial of each slot follows from the seed and from the finished slots before it, so a
    search that was killed and started again finds what an undisturbed one finds, and a finished one is only
    read.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(storage_url) if storage_url else None
    identity = f"{lineage} {split.train_until_year} {settings.model_dump_json()}"
    name = f"fvi_viability-{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
    study = optuna.create_study(study_name=name, storage=storage, direction="minimize", load_if_exists=True)
    for orphan in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(orphan.number, state=optuna.trial.TrialState.FAIL)
    data: tuple[lightgbm.Dataset, lightgbm.Dataset] | None = None
    finished = _finished_slots(study)
    for slot in range(settings.trials):
        if slot in finished:
            continue
        data = data or _tuning_data(split, feature_names)
        _run_slot(study, slot, settings, feature_names, data)
    finished = _finished_slots(study)
    best = min((finished[slot] for slot in range(settings.trials)), key=lambda t: (t.value, t.user_attrs["slot"]))
    return Tuned(
        parameters=_parameters(settings.start, best.params),
        rounds=int(best.user_attrs["rounds"]),
        stopping_log_loss=float(best.value or 0.0),
        trials=settings.trials,
    )


def fit(
    part: Part,
    feature_names: list[str],
    parameters: BoosterParameters,
    rounds: int,
    settings: TrainingSettings,
) -> lightgbm.Booster:
    """Fit `rounds` trees on the rows of `part`; P(viable) never rises with the horizon.

    Thresholds are rounded down to float32, which changes no decision on float32 features and makes the ONNX
    form exact.
    """
    import lightgbm

    data = _lightgbm_dataset(part, feature_names)
    booster = lightgbm.train(_lightgbm_parameters(parameters, feature_names, settings), data, num_boost_round=rounds)
    return with_float32_thresholds(booster)


def with_float32_thresholds(booster: lightgbm.Booster) -> lightgbm.Booster:
    """The same trees with every threshold replaced by the greatest float32 not above it.

    For float32 x, x <= threshold holds before exactly if it holds after. ONNX stores thresholds as float32
    and would round some of them up, past a feature value. A threshold between the negative values and zero lies on
    the bound within which LightGBM takes a value for zero, and ONNX does not: it goes one float32 further down.
    """
    import lightgbm

    lines = []
    for line in booster.model_to_string().splitlines():
        if line.startswith("tree_sizes="):
            continue  # byte counts of the old text; LightGBM reads the trees one after the other without them
        if line.startswith("threshold="):
            values = np.array(line.removeprefix("threshold=").split(), dtype=np.float64)
            line = "threshold=" + " ".join(repr(float(value)) for value in _exact_in_onnx(values))
        lines.append(line)
    return lightgbm.Booster(model_str="\n".join(lines) + "\n")


def _exact_in_onnx(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    floored = float32_floor(thresholds)
    return np.where(floored == -_ZERO_BOUND, np.nextafter(-_ZERO_BOUND, np.float32(-np.inf)), floored).astype(
        np.float64
    )


def float32_floor(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The greatest float32 not above each value, as float64."""
    nearest = values.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > values, below, nearest).astype(np.float64)


def _run_slot(
    study: optuna.Study,
    slot: int,
    settings: TrainingSettings,
    feature_names: list[str],
    data: tuple[lightgbm.Dataset, lightgbm.Dataset],
) -> None:
    import optuna

    space = _search_space()
    if slot == 0:
        parameters = settings.start
        loss, rounds = _stopped_fit(parameters, settings, feature_names, data)
        study.add_trial(
            optuna.trial.create_trial(
                params={name: getattr(parameters, name) for name in space},
                distributions=space,
                value=loss,
                user_attrs={"slot": slot, "rounds": rounds},
            )
        )
        return
    # a sampler of its own for each slot: its draws do not depend on how many draws this process made before
    study.sampler = optuna.samplers.TPESampler(seed=settings.seed + slot, n_startup_trials=4)
    trial = study.ask(space)
    loss, rounds = _stopped_fit(_parameters(settings.start, trial.params), settings, feature_names, data)
    trial.set_user_attr("rounds", rounds)
    trial.set_user_attr("slot", slot)
    study.tell(trial, loss)


def _search_space() -> dict[str, optuna.distributions.BaseDistribution]:
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        "num_leaves": IntDistribution(7, 31),
        "min_data_in_leaf": IntDistribution(50, 400, log=True),
        "feature_fraction": FloatDistribution(0.3, 0.9),
        "bagging_fraction": FloatDistribution(0.5, 0.9),
        "lambda_l2": FloatDistribution(1.0, 100.0, log=True),
    }


def _finished_slots(study: optuna.Study) -> dict[int, Any]:
    import optuna

    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    return {int(trial.user_attrs["slot"]): trial for trial in reversed(done)}


def _parameters(start: BoosterParameters, tried: dict[str, Any]) -> BoosterParameters:
    return BoosterParameters.model_validate({**start.model_dump(), **tried})


def _stopped_fit(
    parameters: BoosterParameters,
    settings: TrainingSettings,
    feature_names: list[str],
    data: tuple[lightgbm.Dataset, lightgbm.Dataset],
) -> tuple[float, int]:
    import lightgbm

    fit_data, stopping_data = data
    booster = lightgbm.train(
        {**_lightgbm_parameters(parameters, feature_names, settings), "metric": "binary_logloss"},
        fit_data,
        num_boost_round=settings.maximum_rounds,
        valid_sets=[stopping_data],
        valid_names=["stopping"],
        callbacks=[lightgbm.early_stopping(settings.stopping_rounds, verbose=False)],
    )
    return float(booster.best_score["stopping"]["binary_logloss"]), int(booster.best_iteration)


def _tuning_data(split: Split, feature_names: list[str]) -> tuple[lightgbm.Dataset, lightgbm.Dataset]:
    fit_data = _lightgbm_dataset(split.tuning_fit, feature_names)
    stopping = split.stopping
    return fit_data, fit_data.create_valid(stopping.features, label=stopping.viable)


def _lightgbm_dataset(part: Part, feature_names: list[str]) -> lightgbm.Dataset:
    import lightgbm

    return lightgbm.Dataset(
        part.features,
        label=part.viable,
        feature_name=[*feature_names, HORIZON],
        free_raw_data=False,
        # the same binned data serves trials with different leaf sizes
        params={"feature_pre_filter": False, "verbose": -1},
    )


def _lightgbm_parameters(
    parameters: BoosterParameters, feature_names: list[str], settings: TrainingSettings
) -> dict[str, Any]:
    return {
        **parameters.model_dump(),
        "monotone_constraints": [0] * len(feature_names) + [-1],
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": settings.threads,
        "seed": settings.seed,
        "feature_pre_filter": False,
        "verbose": -1,
    }
