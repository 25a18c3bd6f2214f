"""dbt's pages and dbt's source freshness, as Dagster runs them, on a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster_dbt import DbtCliResource

from fvi_pipeline.defs.documentation import warehouse_documentation
from fvi_pipeline.defs.freshness import FRESHNESS_JOB, source_freshness
from fvi_pipeline.defs.resources import Pages, Warehouse
from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings
from tests.commands import BIN


@pytest.fixture
def dbt(database_url: str, servers: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DbtCliResource:
    """dbt for a database of its own, as the assets get it."""
    settings = Settings(home=tmp_path, database_url=None, redis_url=None)
    for name, value in tool_environment(settings, Servers(database_url, servers.redis_url)).items():
        monkeypatch.setenv(name, value)
    project = str(PROJECT_ROOT / "dbt_project")
    return DbtCliResource(project_dir=project, profiles_dir=project, dbt_executable=str(BIN / "fvi-dbt"))


def test_the_page_is_written_once_for_each_state_of_the_project(dbt: DbtCliResource, tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "warehouse-of-an-earlier-state.html").write_text("")

    written = []
    for _ in range(2):
        result = dg.materialize([warehouse_documentation], resources={"dbt": dbt, "pages": Pages(folder=str(folder))})
        metadata = result.asset_materializations_for_node("documentation__warehouse")[0].metadata
        written.append(metadata["written_now"].value)

    assert written == [True, False]
    assert [str(page) for page in folder.iterdir()] == [metadata["page"].value]
    page = Path(str(metadata["page"].value)).read_text()
    # the descriptions of columns, of the feeds' tables and of the exposures are in the one file
    for words in ("silver_mine_metrics", FEEDS["eia_coal_mines"].attribution, "Scoring service (Bento)"):
        assert words in page


def test_a_feed_is_late_as_its_description_says(dbt: DbtCliResource, database_url: str) -> None:
    recent, late, very_late, never = [feed for feed in FEEDS.values() if feed.freshness is not None][:4]
    assert late.freshness is not None
    assert very_late.freshness is not None
    ages = {
        recent.name: 0,
        late.name: late.freshness.warn_days + 1,
        very_late.name: very_late.freshness.error_days + 1,
    }
    with psycopg.connect(database_url) as connection:
        for name, days in ages.items():
            connection.execute(
                "insert into landing.files (feed, name, sha256, ingested_at, rows_read, rows_loaded, rows_quarantined, "
                "status) values (%s, %s, 'x', now() - make_interval(days => %s), 0, 0, 0, 'loaded')",
                [name, name, days],
            )
    resources = {"dbt": dbt, "warehouse": Warehouse(database_url=database_url)}
    definitions = dg.Definitions(asset_checks=[source_freshness], jobs=[FRESHNESS_JOB], resources=resources)
    result = definitions.resolve_job_def("source_freshness").execute_in_process()
    found = {event.asset_key.path[-1]: event for event in result.get_asset_check_evaluations()}

    assert found.keys() == {feed.table for feed in FEEDS.values() if feed.freshness}
    assert found[recent.table].passed
    assert (found[late.table].passed, found[late.table].severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (found[very_late.table].passed, found[very_late.table].severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert found[very_late.table].metadata["days_ago"].value == ages[very_late.name]
    assert found[never.table].passed
    assert found[never.table].metadata["status"].value == "no file has ever come"
