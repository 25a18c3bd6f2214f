import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from fvi_pipeline.model.card.fairness import measure_fairness
from fvi_pipeline.model.card.groups import NOT_PUBLISHED, region_of, with_groups
from fvi_pipeline.model.card.measures import OTHER, Estimate, GroupMeasures, measure_groups, pool_thin
from fvi_pipeline.model.evaluation import calibration_error
from fvi_pipeline.simulator.mines import STATES


def predictions(mines: int = 900, seed: int = 1, too_high_in: str | None = None, by: float = 0.0) -> pl.DataFrame:
    """Two years of calibrated predictions in three regions and one thin state; too high in one region if asked for."""
    generator = np.random.default_rng(seed)
    regions = generator.choice(["Appalachia", "Interior", "West"], size=mines, p=[0.6, 0.2, 0.2])
    truth = generator.beta(4, 2, size=mines)
    rows = []
    for year in (2014, 2015):
        probability = np.where(regions == too_high_in, np.minimum(truth + by, 1.0), truth)
        rows.append(
            pl.DataFrame(
                {
                    "mine_id": [f"msha:{number:07d}" for number in range(mines)],
                    "as_of_year": [year] * mines,
                    "horizon_years": [3] * mines,
                    "viability_probability": probability,
                    "viable": generator.random(mines) < truth,
                    "region": regions,
                    "mine_state": [
                        "Utah" if number < 30 else "Texas" if number < 70 else "Ohio" for number in range(mines)
                    ],
                }
            )
        )
    return pl.concat(rows)


def of_group(measured: list[GroupMeasures], name: str) -> GroupMeasures:
    return next(each for each in measured if each.group == name)


def test_states_as_published_lie_in_eias_regions() -> None:
    assert region_of("Kentucky (East)") == region_of("West Virginia (Southern)") == "Appalachia"
    assert region_of("Kentucky (West)") == "Interior"
    assert region_of("Virginia") == "Appalachia"
    assert region_of("Wyoming") == "West"
    assert region_of("Refuse Recovery") == region_of(None) == NOT_PUBLISHED
    assert {state[0] for state in STATES if region_of(state[0]) == NOT_PUBLISHED} <= {"Refuse Recovery"}


def test_size_classes_are_thirds_of_the_years_own_cohort() -> None:
    cohort = pl.DataFrame(
        {
            "mine_id": [f"m{number}" for number in range(12)],
            "as_of_year": [2001] * 6 + [2002] * 6,
            "mine_state": ["Ohio"] * 11 + [None],
            "mine_type": ["Surface"] * 11 + [None],
            "production_short_tons": [1.0, 2, 3, 4, 5, 6, 100, 200, 300, 400, 500, None],
        }
    )
    grouped = with_groups(cohort)
    classes = grouped["size_class"].to_list()
    assert classes[:6] == ["small", "small", "medium", "medium", "large", "large"]
    assert classes[6:11] == ["small", "small", "medium", "large", "large"]
    assert grouped.row(11, named=True)["size_class"] == NOT_PUBLISHED
    assert grouped.row(11, named=True)["mine_type"] == NOT_PUBLISHED
    # what is added later in other years moves no class
    assert with_groups(cohort.head(6))["size_class"].to_list() == classes[:6]


def test_thin_groups_are_pooled_and_never_lost() -> None:
    rows = predictions()
    measured = measure_groups(rows, "mine_state", draws=20, least_rows=100)
    assert {each.group for each in measured} == {"Ohio", OTHER}
    assert measured[-1].group == OTHER
    assert sum(each.rows for each in measured) == rows.height
    assert of_group(measured, OTHER).rows == 140
    assert sum(each.closed for each in measured) == (~rows["viable"]).sum()
    one_thin = rows.filter(pl.col("mine_state") != "Texas")
    assert set(pool_thin(one_thin, "mine_state", 100)["mine_state"]) == {"Ohio", "Utah"}


def test_measures_are_those_of_the_rows() -> None:
    rows = predictions()
    measured = of_group(measure_groups(rows, "region", draws=100), "Appalachia")
    own = rows.filter(region="Appalachia")
    probability, viable = own["viability_probability"].to_numpy(), own["viable"].to_numpy().astype(np.int8)
    assert measured.auc is not None
    assert measured.auc.value == pytest.approx(roc_auc_score(viable, probability))
    assert measured.brier.value == pytest.approx(((probability - viable) ** 2).mean())
    assert measured.observed.value == pytest.approx(viable.mean())
    assert measured.calibration_error.value == pytest.approx(calibration_error(viable, probability))
    assert measured.calibration_error_by_chance == pytest.approx(measured.calibration_error.value, abs=0.02)
    for estimate in (measured.auc, measured.brier, measured.observed):
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < estimate.value < estimate.high


def test_mines_and_not_rows_are_drawn() -> None:
    """Each row ten times over tells nothing new, and no interval gets narrower by it."""
    rows = predictions(mines=300)
    again = pl.concat([rows.with_columns(as_of_year=pl.lit(year)) for year in range(2000, 2010)])
    once = of_group(measure_groups(rows, "region", draws=200), "Appalachia").brier
    often = of_group(measure_groups(again, "region", draws=200), "Appalachia").brier
    assert once.low == pytest.approx(often.low)
    assert once.high == pytest.approx(often.high)


def test_one_outcome_has_no_auc() -> None:
    rows = predictions(mines=200).with_columns(viable=pl.lit(True))
    measured = measure_groups(rows, "region", draws=20)
    assert all(each.auc is None for each in measured)
    regions, _ = measure_fairness(rows, draws=20)
    assert all(each.miss_rate is None and each.miss_difference is None for each in regions)


def test_a_region_with_scores_too_high_is_found_and_no_other() -> None:
    rows = predictions(mines=2000, too_high_in="West", by=0.2)
    regions = {each.region: each for each in measure_fairness(rows, draws=200)[0]}
    west = regions["West"]
    assert west.predicted_less_observed.value == pytest.approx(0.17, abs=0.05)
    assert west.calibration_difference is not None
    assert west.calibration_difference.excludes_zero
    assert west.calibration_difference.value > 0.1
    # mines there are flagged less often, whether they close or not
    assert west.miss_difference is not None
    assert west.miss_difference.excludes_zero
    assert west.miss_difference.value > 0
    assert west.false_alarm_difference is not None
    assert west.false_alarm_difference.value < 0

    fair = {each.region: each for each in measure_fairness(predictions(mines=2000), draws=200)[0]}
    gaps = [each.calibration_difference for each in fair.values() if each.calibration_difference is not None]
    assert len(gaps) == 3
    assert all(abs(gap.value) < 0.05 for gap in gaps)
    assert sum(gap.excludes_zero for gap in gaps) <= 1


def test_a_rate_of_few_rows_or_of_none_is_no_finding() -> None:
    rows = predictions(mines=2000)
    in_west = pl.col("region") == "West"
    few = rows.with_columns(viable=pl.when(in_west).then(pl.lit(True)).otherwise("viable"))
    west = {each.region: each for each in measure_fairness(few, draws=50)[0]}["West"]
    assert (west.closed, west.miss_rate, west.miss_difference) == (0, None, None)
    # nobody there is flagged: every draw says so too, and that is no certainty
    safe = few.with_columns(
        viability_probability=pl.when(in_west).then(pl.lit(0.999)).otherwise("viability_probability")
    )
    west = {each.region: each for each in measure_fairness(safe, draws=50)[0]}["West"]
    assert west.false_alarm_rate == Estimate(0.0, None, None)
    assert west.false_alarm_difference is not None
    assert west.false_alarm_difference not in west.differences
    assert west.calibration_difference in west.differences


def test_one_region_alone_has_nothing_to_be_compared_with() -> None:
    (only,), _ = measure_fairness(predictions(mines=200).with_columns(region=pl.lit("West")), draws=20)
    assert only.differences == []
    assert only.predicted_less_observed.low is not None


def test_as_many_are_flagged_as_the_model_expects_to_close() -> None:
    rows = predictions()
    _, (threshold,) = measure_fairness(rows, draws=20)
    expected = (1 - rows["viability_probability"]).sum()
    assert threshold.flagged == pytest.approx(expected, abs=2)
    # other outcomes do not move the threshold: it is set before they are known
    _, (other,) = measure_fairness(rows.with_columns(viable=~pl.col("viable")), draws=20)
    assert other == threshold
