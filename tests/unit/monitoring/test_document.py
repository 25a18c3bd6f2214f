"""docs/feature_catalogue.md: it says what the project says, of every feature, and its figures survive new words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fvi_pipeline.features.catalogue import FeatureColumn, load_catalogue
from fvi_pipeline.monitoring.__main__ import described_page
from fvi_pipeline.monitoring.catalogue_rows import CatalogueRow
from fvi_pipeline.monitoring.document import (
    PATH,
    Figures,
    by_category,
    feature_page,
    figure,
    figures_from_page,
    figures_from_rows,
    readable_source,
)
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from fvi_pipeline.platform.settings import PROJECT_ROOT, get_settings


def _row(position: int, feature: str, category: str, **values: object) -> CatalogueRow:
    described = CatalogueRow(
        position=position,
        feature=feature,
        description=f"The {feature}.\n",
        category=category,
        unit="short tons",
        null_means="not published | before 2001",
        sources=["silver_mine_years.production_short_tons[t-4..t]"],
        fact_groups=["own"],
        model_role="input",
        rows=200,
        null_rate=0.125,
        minimum=0.0,
        maximum=117965515.0,
        mean=486495.88,
        standard_deviation=0.3361,
        information_gain=0.0583,
        drift_psi=0.26,
        drift_ks=0.1,
        drift_level="large",
        measured_at=datetime(2026, 11, 21, tzinfo=UTC),
    )
    return replace(described, **values)


_ROWS = [_row(1, "output", "operations"), _row(2, "depth", "asset and geology"), _row(3, "hours", "operations")]


def _page(rows: list[CatalogueRow], figures: Figures) -> str:
    return feature_page(by_category((row.feature, row.category, row) for row in rows), figures)


def test_the_repositorys_page_is_what_the_project_says() -> None:
    settings = get_settings()
    manifest = ensure_manifest(settings.dbt_project_dir, settings.home)
    page = PROJECT_ROOT / PATH
    assert described_page(manifest, page) == page.read_text(), "run `make generate`"
    features = [column.name for column in load_catalogue(manifest).features if column.role == "feature"]
    assert len(features) >= 60
    described = [line.split("`")[1] for line in page.read_text().splitlines() if line.startswith("| `")]
    assert sorted(described) == sorted(2 * features)
    # and every one has been measured
    assert set(figures_from_page(page.read_text()).lines) == set(features)
    assert "not measured" not in page.read_text()


def test_every_feature_is_told_once_with_its_figures() -> None:
    page = _page(_ROWS, figures_from_rows(_ROWS, "Measured today."))
    lines = page.splitlines()
    assert "**Figures.** Measured today." in lines
    assert [line for line in lines if line.startswith("## ")] == ["## operations (2)", "## asset and geology (1)"]
    assert (
        "| `output` | The output. | short tons | not published \\| before 2001 "
        "| `silver_mine_years.production_short_tons`, t-4 to t |" in lines
    )
    assert "| `output` | 12.5 % | 0 | 486,496 | 117,965,515 | 0.3361 | 0.058 | 0.260 | 0.100 | large | input |" in lines


def test_new_words_keep_the_figures_and_a_new_feature_has_none() -> None:
    page = _page(_ROWS, figures_from_rows(_ROWS, "Measured today."))
    words = replace(_ROWS[0], description="Other words.")
    changed = _page([words, *_ROWS[1:], _row(4, "age", "time")], figures_from_page(page))
    assert "| `output` | Other words. |" in changed
    assert "| `output` | 12.5 % |" in changed
    assert "| `age` | not measured |" in changed
    # and a page that is read and written again stays as it is
    assert _page(_ROWS, figures_from_page(page)) == page


@pytest.mark.parametrize("lost", ["description", "figures"])
def test_a_feature_that_is_gone_leaves_nothing(lost: str) -> None:
    page = _page(_ROWS, figures_from_rows(_ROWS, "Measured today."))
    assert "depth" not in _page([_ROWS[0], _ROWS[2]], figures_from_page(page))


def test_a_page_is_out_of_date_when_a_description_changes(tmp_path: Path) -> None:
    settings = get_settings()
    manifest = ensure_manifest(settings.dbt_project_dir, settings.home)
    page = tmp_path / "page.md"
    page.write_text(described_page(manifest, page))
    assert described_page(manifest, page) == page.read_text()
    column = next(column for column in load_catalogue(manifest).features if column.role == "feature")
    page.write_text(page.read_text().replace(column.description, "Something else.", 1))
    assert described_page(manifest, page) != page.read_text()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("silver_mine_years.labor_hours[t]", "`silver_mine_years.labor_hours`, t"),
        ("silver_mine_years.labor_hours[..t]", "`silver_mine_years.labor_hours`, every year to t"),
        ("silver_commodity_prices.coal[newest-11..newest]", "`silver_commodity_prices.coal`, newest-11 to newest"),
        (
            "silver_mine_years.labor_hours[t-1; rows with same mine_state, mine_type]",
            "`silver_mine_years.labor_hours`, t-1, rows with the same mine_state, mine_type",
        ),
        ("silver_mine_tracker_history.mine_depth_m", "`silver_mine_tracker_history.mine_depth_m`"),
    ],
)
def test_sources_are_told_in_words(source: str, words: str) -> None:
    assert readable_source(source) == words


def test_a_source_of_every_feature_can_be_told() -> None:
    settings = get_settings()
    features = load_catalogue(ensure_manifest(settings.dbt_project_dir, settings.home)).features
    told = [readable_source(source) for column in features if _is_feature(column) for source in column.sources]
    assert told
    assert not [words for words in told if "[" in words or "`" not in words]


def _is_feature(column: FeatureColumn) -> bool:
    return column.role == "feature"


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), (0.0, "0"), (0.012345, "0.01235"), (12345.6, "12,346"), (-0.5, "-0.5")]
)
def test_figures_have_as_many_digits_as_tell_something(value: float | None, shown: str) -> None:
    assert figure(value) == shown
