"""The assembly as Dagster sees it: it loads without a server, and its graph reads from publisher to Bento."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import dagster as dg
import pytest

from fvi_pipeline.definitions import MAIN_JOB, build_defs
from fvi_pipeline.defs import replay
from fvi_pipeline.defs.landing import landing_key
from fvi_pipeline.defs.model import STUDIES
from fvi_pipeline.defs.publishers import publisher_key, publisher_specs
from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from fvi_pipeline.platform.settings import Settings, get_settings


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(settings=Settings(home=tmp_path_factory.mktemp("home"), database_url=None, redis_url=None))


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions):
    return definitions.resolve_asset_graph()


def test_the_code_location_loads(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_every_publisher_leads_to_the_bento(graph) -> None:
    publishers = dg.AssetSelection.assets("serving/bento").upstream().upstream_source_assets().resolve(graph)
    assert publishers == {spec.key for spec in publisher_specs()}


def test_nothing_flows_back(graph) -> None:
    layers = ["publishers", "landing", "bronze", "silver", "gold"]
    beyond = {"feature_store", "weights", "model", "mart", "evidence", "serving", "documentation", "monitoring"}
    beyond |= {"segments", replay.GROUP, STUDIES}
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.group_name in {*layers, *beyond}, key
        for parent in node.parent_keys:
            parent_group = graph.get(parent).group_name
            if node.group_name in layers:
                assert layers.index(parent_group) <= layers.index(node.group_name), f"{parent} feeds {key}"


def test_every_asset_says_what_it_is_and_whose(definitions: dg.Definitions) -> None:
    specs = definitions.resolve_all_asset_specs()
    assert len(specs) > 40
    for spec in specs:
        assert spec.group_name, spec.key
        assert spec.description, spec.key
        assert spec.owners, spec.key


def test_every_dbt_test_is_a_check(graph, definitions: dg.Definitions) -> None:
    settings = get_settings()
    nodes = json.loads(ensure_manifest(settings.dbt_project_dir, settings.home).read_text())["nodes"].values()
    tests = {node["name"] for node in nodes if node["resource_type"] == "test"}
    assert len(tests) > 50
    assert tests <= {key.name for key in graph.asset_check_keys}


def test_exposures_read_what_their_assets_depend_on(graph) -> None:
    settings = get_settings()
    exposures = json.loads(ensure_manifest(settings.dbt_project_dir, settings.home).read_text())["exposures"].values()
    assert {"ml", "application", "dashboard"} <= {exposure["type"] for exposure in exposures}
    for exposure in exposures:
        reader = dg.AssetSelection.assets(exposure["config"]["meta"]["asset"])
        upstream = {key.path[-1] for key in reader.upstream().resolve(graph)}
        assert {node.rsplit(".", 1)[-1] for node in exposure["depends_on"]["nodes"]} <= upstream, exposure["name"]


def test_tests_that_must_hold_block_what_follows(graph) -> None:
    checks = [graph.get(key) for key in graph.asset_check_keys if key.asset_key.path[0] in {"silver", "gold"}]
    assert len(checks) > 30
    assert [check.key for check in checks if not check.blocking] == []


def test_every_feed_has_its_landing_table_below_its_publisher(graph) -> None:
    for feed in FEEDS.values():
        assert graph.get(landing_key(feed.table)).parent_keys == {publisher_key(feed.publisher)}


def test_what_stands_by_year_has_years_from_the_file_to_silver(graph) -> None:
    partitioned = {key for key in graph.get_all_asset_keys() if graph.get(key).is_partitioned}
    yearly = {key.to_user_string() for key in partitioned - {replay.GOLD_AS_OF}}
    assert yearly >= {
        "landing/eia_coal_mines",
        "bronze/bronze_eia_coal_mines",
        "silver/silver_mine_metrics_history",
        "silver/silver_mine_years",
        "silver/silver_shared_operations",
    }
    assert {key for key in yearly if not key.startswith(("landing/", "bronze/", "silver/"))} == set()


def test_the_main_job_is_started_without_a_year(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def(MAIN_JOB)
    assert job.partitions_def is None
    graph = definitions.resolve_asset_graph()
    studies = {key for key in graph.executable_asset_keys if graph.get(key).group_name == STUDIES}
    assert job.asset_layer.executable_asset_keys == graph.executable_asset_keys - studies - {replay.GOLD_AS_OF}


def test_every_day_since_the_first_release_can_be_replayed_and_nothing_asks_for_it_by_itself(graph) -> None:
    node = graph.get(replay.GOLD_AS_OF)
    assert node.automation_condition is None
    days = node.partitions_def.get_partition_keys()
    assert days[0] == "1984-10-01"
    assert days[-1] == str(datetime.now(UTC).date())


def test_schedules_and_sensors_drive_what_they_say(definitions: dg.Definitions) -> None:
    schedules = {schedule.name: schedule.cron_schedule for schedule in definitions.schedules or []}
    assert schedules == {
        "nightly_weights_schedule": "0 2 * * *",
        "nightly_evidence_schedule": "30 2 * * *",
        "source_freshness_schedule": "0 6 * * *",
        "weekly_training_schedule": "0 3 * * 0",
        "index_separation_schedule": "0 4 * * 0",
        "model_comparison_schedule": "0 5 * * 0",
        "second_opinion_schedule": "0 7 * * 0",
        "answers_schedule": "0 8 * * *",
    }
    sensors = {sensor.name: sensor.default_status for sensor in definitions.sensors or []}
    assert set(sensors) == {"landing_folder_sensor", "automation_conditions", "failure_webhook", "retraining_sensor"}
    assert set(sensors.values()) == {dg.DefaultSensorStatus.RUNNING}


def test_what_a_schedule_writes_has_a_time_after_which_it_is_late(graph) -> None:
    timed = {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy is not None}
    assert timed == {"mart/metric_dq_history", "mart/fvi_weights", "mart/fvi_index", "model/challenger"}


def test_a_resource_can_be_replaced(tmp_path) -> None:
    from fvi_pipeline.defs.resources import LandingFolder

    settings = Settings(home=tmp_path, database_url=None, redis_url=None)
    replaced = build_defs({"landing_folder": LandingFolder(path="/elsewhere")}, settings)
    assert replaced.resources is not None
    assert replaced.resources["landing_folder"].path == "/elsewhere"
