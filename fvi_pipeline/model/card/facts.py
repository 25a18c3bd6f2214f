"""Everything that a card says, gathered from the registry, the ledger and the warehouse. How it is said is the
template's; what is measured on the test rows is in `measurements`.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from fvi_pipeline.model.card.measurements import Measurements
from fvi_pipeline.model.registry import ModelRegistry
from fvi_pipeline.model.scoring import BOOSTER_FILE, METADATA_FILE

_TOP_FEATURES = 15
_PUBLISHERS = (
    "select publisher, count(*), sum(rows_loaded), min(known_at)::date, max(known_at)::date, bool_or(simulated) "
    "from landing.files where status = 'loaded' and publisher is not null group by publisher order by publisher"
)
_PANEL = (
    "select min(as_of_year), max(as_of_year), count(*), count(distinct mine_id), max(newest_fact_known_at)::date "
    "from gold.gold_mine_features where in_cohort"
)
_OUTCOMES = (
    "select count(*), count(distinct mine_id), min(as_of_year), max(as_of_year) from gold.gold_mine_outcomes "
    "where outcome_year <= %s"
)
_LEDGER = (
    "select promoted_at::date, decision, reason, actor, metrics from ops.promotions "
    "where model_name = %s and version = %s order by promoted_at"
)
_SHARES = (
    "with moved as (select feature, avg(abs(contribution)) as mean from mart.score_explanations "
    "where model_version = %s group by feature) "
    "select feature, mean / sum(mean) over () from moved order by mean desc, feature limit %s"
)
_WORDS = "select feature, description from mart.feature_catalogue"


@dataclass(frozen=True)
class Publisher:
    """Files of one publisher that are loaded."""

    name: str
    files: int
    rows: int
    first_known: date
    last_known: date


@dataclass(frozen=True)
class Panel:
    """The cohort as the warehouse has it, and the outcomes that a version could have learned from."""

    first_year: int
    last_year: int
    mine_years: int
    mines: int
    newest_fact_known: date
    outcomes: int
    outcome_mines: int
    outcome_first_year: int
    outcome_last_year: int


@dataclass(frozen=True)
class LedgerEntry:
    """A decision on the version."""

    day: date
    decision: str
    reason: str
    actor: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TopFeature:
    """A feature with its share of what moves the predictions."""

    name: str
    share: float
    description: str


@dataclass(frozen=True)
class CardFacts:
    """What one card says."""

    model_name: str
    version: str
    is_champion: bool
    champion_version: str | None
    onnx_sha256: str
    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    description: Mapping[str, Any]
    """metadata.json of the version."""
    ledger: list[LedgerEntry]
    publishers: list[Publisher]
    simulated: bool
    panel: Panel | None
    measurements: Measurements | None
    top_features: list[TopFeature]
    importance: str
    """What the shares of the features are shares of."""

    @property
    def horizons(self) -> list[int]:
        """All that the model answers for."""
        return [int(horizon) for horizon in self.description.get("horizons", [])]

    @property
    def tested_horizons(self) -> list[int]:
        """Those that the test rows reach."""
        return [horizon for horizon in self.horizons if f"test_rows_h{horizon}" in self.metrics]

    @property
    def untested_horizons(self) -> list[int]:
        """Those that no test row reaches."""
        return [horizon for horizon in self.horizons if horizon not in self.tested_horizons]

    @property
    def test_rows(self) -> int | None:
        """How many rows the version was tested on, as its run noted them."""
        noted = self.metrics.get("test_rows", self.parameters.get("rows_test"))
        return None if noted is None else int(noted)

    @property
    def train_until_year(self) -> int:
        """T: no outcome of a later year was seen in fit, tuning and calibration."""
        return int(self.tags["train_until_year"])

    @property
    def gate_figures(self) -> dict[str, float]:
        """What the gate measured beside what the run had noted, at its last look."""
        judged = [entry.metrics for entry in self.ledger if entry.metrics]
        return {name: value for name, value in (judged[-1] if judged else {}).items() if name not in self.metrics}

    @property
    def confidence(self) -> float | None:
        """Nominal coverage of the intervals."""
        confidence = (self.description.get("intervals") or {}).get("confidence")
        return None if confidence is None else float(confidence)


def gather(
    connection: psycopg.Connection, registry: ModelRegistry, version: str, measurements: Measurements | None
) -> CardFacts:
    """Read what the card of a registered version says; `measurements` were made of its fold.

    Raises:
        RegistryError: there is no such version, or its files are gone.
    """
    registered = registry.get(version)
    logged = registry.logged(version)
    champion = registry.champion()
    with tempfile.TemporaryDirectory() as folder:
        files = registry.files(version, Path(folder))
        metadata = files / METADATA_FILE
        description = json.loads(metadata.read_text()) if metadata.exists() else {}
        booster = files / BOOSTER_FILE
        gains = _gains(booster.read_text()) if booster.exists() else {}
    publishers = connection.execute(_PUBLISHERS).fetchall()
    top, importance = _top_features(connection, registry.name, version, gains)
    return CardFacts(
        model_name=registry.name,
        version=version,
        is_champion=champion is not None and champion.version == version,
        champion_version=champion.version if champion else None,
        onnx_sha256=registered.onnx_sha256,
        tags=logged.tags,
        parameters=logged.parameters,
        metrics=logged.metrics,
        description=description,
        ledger=[LedgerEntry(*row) for row in connection.execute(_LEDGER, [registry.name, version]).fetchall()],
        publishers=[Publisher(row[0], row[1], int(row[2]), row[3], row[4]) for row in publishers],
        simulated=any(row[5] for row in publishers),
        panel=_panel(connection, int(logged.tags["train_until_year"])),
        measurements=measurements,
        top_features=top,
        importance=importance,
    )


def _panel(connection: psycopg.Connection, train_until_year: int) -> Panel | None:
    cohort = connection.execute(_PANEL).fetchone()
    outcomes = connection.execute(_OUTCOMES, [train_until_year]).fetchone()
    if cohort is None or outcomes is None or not cohort[2] or not outcomes[0]:
        return None
    return Panel(*cohort, *outcomes)


def _top_features(
    connection: psycopg.Connection, model_name: str, version: str, gains: Mapping[str, float]
) -> tuple[list[TopFeature], str]:
    from fvi_pipeline.model.scoring import MODEL_NAME

    words: dict[str, str] = dict(connection.execute(_WORDS).fetchall())
    shares: list[tuple[str, float]] = []
    importance = "mean size of the contributions (TreeSHAP) to the scores of the newest cohort, all horizons"
    if model_name == MODEL_NAME:
        shares = connection.execute(_SHARES, [version, _TOP_FEATURES]).fetchall()
    if not shares:
        importance = "gain of the trees' splits in training"
        total = sum(gains.values()) or 1.0
        ranked = sorted(gains.items(), key=lambda item: (-item[1], item[0]))[:_TOP_FEATURES]
        shares = [(name, gain / total) for name, gain in ranked if gain > 0]
    return [TopFeature(name, share, words.get(name, "")) for name, share in shares], importance


def _gains(booster_text: str) -> dict[str, float]:
    import lightgbm

    try:
        booster = lightgbm.Booster(model_str=booster_text)
    except lightgbm.basic.LightGBMError:
        return {}  # a companion may keep several boosters in one text
    gains = booster.feature_importance("gain")
    return {str(name): float(gain) for name, gain in zip(booster.feature_name(), gains, strict=True)}
