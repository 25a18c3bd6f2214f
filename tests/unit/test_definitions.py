"""The assembly as Dagster sees it: it loads without a server, and its graph reads from publisher to Bento."""

from __future__ import annotations

import dagster as dg
import pytest

from fvi_pipeline.definitions import build_defs
from fvi_pipeline.defs.publishers import publisher_specs
from fvi_pipeline.platform.settings import Settings


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(settings=Settings(home=tmp_path_factory.mktemp("home"), database_url=None, redis_url=None))


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions):
    return definitions.resolve_asset_graph()


def test_every_publisher_leads_to_the_bento(graph) -> None:
    publishers = dg.AssetSelection.assets("serving/bento").upstream().upstream_source_assets().resolve(graph)
    assert publishers == {spec.key for spec in publisher_specs()}


def test_nothing_flows_back(graph) -> None:
    layers = ["publishers", "landing", "bronze", "silver", "gold"]
    beyond = {"feature_store", "weights", "model", "mart", "evidence", "serving"}
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
    import json

    from fvi_pipeline.platform.dbt_manifest import ensure_manifest
    from fvi_pipeline.platform.settings import get_settings

    settings = get_settings()
    nodes = json.loads(ensure_manifest(settings.dbt_project_dir, settings.home).read_text())["nodes"].values()
    tests = {node["name"] for node in nodes if node["resource_type"] == "test"}
    assert len(tests) > 50
    assert tests <= {key.name for key in graph.asset_check_keys}


def test_schedules_and_sensor_drive_what_they_say(definitions: dg.Definitions) -> None:
    schedules = {schedule.name: schedule.cron_schedule for schedule in definitions.schedules or []}
    assert schedules == {"nightly_weights_schedule": "0 2 * * *", "weekly_training_schedule": "0 3 * * 0"}
    assert [sensor.name for sensor in definitions.sensors or []] == ["landing_folder_sensor"]


def test_a_resource_can_be_replaced(tmp_path) -> None:
    from fvi_pipeline.defs.resources import LandingFolder

    settings = Settings(home=tmp_path, database_url=None, redis_url=None)
    replaced = build_defs({"landing_folder": LandingFolder(path="/elsewhere")}, settings)
    assert replaced.resources is not None
    assert replaced.resources["landing_folder"].path == "/elsewhere"
