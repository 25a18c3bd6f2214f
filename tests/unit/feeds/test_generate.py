"""What is generated from the feeds' descriptions, and that the repository holds it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.description import Column, FactPeriod, Feed, Freshness, Kind, Part
from fvi_pipeline.feeds.errors import FeedError
from fvi_pipeline.feeds.generate import differences, generated_files, write
from fvi_pipeline.platform.settings import PROJECT_ROOT

_BRONZE = "dbt_project/models/bronze"
_COLUMNS = (
    Column("month", Kind.MONTH, ("month",), required=True, description="Month that the row describes"),
    Column("msha_id", Kind.MSHA_ID, ("id",)),
    Column(
        "tons", Kind.NUMBER, ("tons", "tonnage"), minimum=0, maximum=1_000, unit="short tons", description="Coal's tons"
    ),
)


def _feed(*columns: Column, **changes: object) -> Feed:
    parts = (Part("", frozenset({"month"}), columns or _COLUMNS),)
    return replace(FEEDS["eia_coal_mines"], name="tons", table="tons", parts=parts, **changes)


def test_the_repository_holds_what_the_descriptions_say() -> None:
    assert differences(PROJECT_ROOT) == [], "run `python -m fvi_pipeline.feeds.generate`"


def test_a_feed_becomes_a_table_a_source_and_a_model_with_a_contract() -> None:
    files = generated_files([_feed(freshness=Freshness(40, 80), fact_period=FactPeriod(("month",), "now()"))])

    table = files["fvi_pipeline/platform/sql/11_landing_feeds.sql"]
    assert "month date not null," in table
    assert "msha_id text check (msha_id ~ '^[0-9]{7}$')," in table
    assert "alter table landing.tons add column if not exists tons double precision;" in table
    assert "'Coal''s tons. Unit: short tons.'" in table

    (source,) = yaml.safe_load(files[f"{_BRONZE}/landing_feeds.yml"])["sources"]
    assert source["tables"][0]["config"]["freshness"]["warn_after"] == {"count": 40, "period": "day"}
    assert source["tables"][0]["config"]["meta"]["licence"] == "public domain"

    (model,) = yaml.safe_load(files[f"{_BRONZE}/bronze_tons.yml"])["models"]
    assert model["config"]["contract"]["enforced"]
    types = {column["name"]: column["data_type"] for column in model["columns"]}
    assert types["tons"] == "double precision"
    assert types["known_at"] == "timestamp with time zone"
    assert types["other_values"] == "jsonb"
    assert all(column["description"] for column in model["columns"])

    assert '"period": {' in files["dbt_project/macros/landed_feeds.sql"]
    assert "| `tons` | number | short tons | 0 to 1,000 | `tons`, `tonnage` | Coal's tons |" in files["docs/feeds.md"]


def test_the_parts_of_a_file_are_told_apart_by_a_column() -> None:
    files = generated_files([FEEDS["gem_coal_mines"]])
    table = files["fvi_pipeline/platform/sql/11_landing_feeds.sql"]
    assert "sheet text not null check (sheet in ('closed', 'open'))," in table
    assert "primary key (file_id, sheet, row_number)" in table


def test_files_of_a_feed_that_is_gone_are_taken_away_and_others_left(tmp_path: Path) -> None:
    write(tmp_path, [_feed(), FEEDS["owid_co2"]])
    by_hand = tmp_path / _BRONZE / "bronze_gem_spider.sql"
    by_hand.write_text("select 1\n")

    assert differences(tmp_path, [_feed(), FEEDS["owid_co2"]]) == []
    changed = write(tmp_path, [FEEDS["owid_co2"]])

    assert f"{_BRONZE}/bronze_tons.sql" in changed
    assert sorted(path.name for path in (tmp_path / _BRONZE).glob("bronze_*")) == [
        "bronze_gem_spider.sql",
        "bronze_owid_co2.sql",
        "bronze_owid_co2.yml",
    ]


@pytest.mark.parametrize("name", ["file_id", "known_at", "part", "Tons", "tons; drop table x", ""])
def test_a_column_whose_name_is_taken_or_no_name_is_refused(name: str) -> None:
    with pytest.raises(FeedError, match="another name"):
        generated_files([_feed(*_COLUMNS, Column(name, Kind.TEXT, ("text",)))])


def test_parts_that_disagree_on_a_column_are_refused() -> None:
    parts = (
        Part("a", frozenset(), _COLUMNS),
        Part("b", frozenset(), (Column("tons", Kind.TEXT, ("tons",)),)),
    )
    with pytest.raises(FeedError, match="describe tons differently"):
        generated_files([replace(_feed(), parts=parts, part_column="sheet")])
