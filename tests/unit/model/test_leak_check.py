"""Next year's facts among the features are found under any name and in any form; lawful features are left alone."""

import numpy as np
import polars as pl
import pytest

from fvi_pipeline.model.errors import DatasetError
from fvi_pipeline.model.intervals import FloatVector
from fvi_pipeline.model.leak_check import FACTS, find_leaks

from .future_facts import LAWFUL, Form, mines_with_facts, planted


@pytest.fixture(scope="module")
def panel() -> tuple[pl.DataFrame, pl.DataFrame]:
    return mines_with_facts()


def test_lawful_features_keep_away_from_the_bounds(panel: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    rows, facts = panel
    report = find_leaks(rows, LAWFUL, facts)
    assert report.passed
    assert report.metrics()["leaks"] == 0
    assert report.nearest["share of equal values"][1] < 0.1
    assert report.nearest["rank correlation beyond this year"][1] < 0.45
    assert report.nearest["AUC alone"][1] < 0.85


@pytest.mark.parametrize("fact", FACTS)
@pytest.mark.parametrize(
    "form",
    [
        lambda later, now, noise: later,
        lambda later, now, noise: np.log1p(later),
        lambda later, now, noise: 0.907 * later + 12,
        lambda later, now, noise: -later,
        lambda later, now, noise: later * np.exp(0.2 * noise),
        lambda later, now, noise: later / now - 1,
        lambda later, now, noise: (later + 2 * now) / 3,
        lambda later, now, noise: np.where(later > 0, later, np.nan),
    ],
    ids=["raw", "log", "scaled", "negative", "noisy", "change", "mean with this year", "missing after closing"],
)
def test_next_years_facts_are_found_in_any_form(
    panel: tuple[pl.DataFrame, pl.DataFrame], fact: str, form: Form
) -> None:
    report = find_leaks(planted(panel, fact, form), [*LAWFUL, "innocent"], panel[1])
    assert {leak.feature for leak in report.leaks} == {"innocent"}
    assert fact in {leak.fact.removeprefix("next year's ") for leak in report.leaks}
    assert len(report.sentences()) == 1
    assert report.sentences()[0].startswith("innocent looks like ")


def test_being_missing_must_not_tell_what_became_of_the_mine(panel: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    def status_is_known_of_survivors(later: FloatVector, now: FloatVector, noise: FloatVector) -> FloatVector:
        return np.asarray(np.where(later > 0, noise, np.nan), dtype=np.float64)

    report = find_leaks(planted(panel, FACTS[0], status_is_known_of_survivors), ["age", "innocent"], panel[1])
    assert [(leak.feature, leak.measure) for leak in report.leaks] == [("innocent", "AUC of being missing")]


def test_a_flag_of_survival_is_found(panel: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    report = find_leaks(
        planted(panel, FACTS[0], lambda later, now, noise: np.where(later > 0, 1.0, 0.0)), ["innocent"], panel[1]
    )
    assert [leak.measure for leak in report.leaks] == ["AUC alone"]


def test_too_few_rows_accuse_nobody(panel: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    rows, facts = panel
    few = rows.filter(pl.col("mine_id").is_in(rows["mine_id"].unique().sort().head(4).implode()))
    assert find_leaks(few, LAWFUL, facts).passed
    assert find_leaks(rows.clear(), LAWFUL, facts).passed


def test_a_feature_that_is_not_there_is_named(panel: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    with pytest.raises(DatasetError, match="lacks the columns \\['depth'\\]"):
        find_leaks(panel[0], ["depth"], panel[1])
