"""`fvi promote` and `fvi rollback` beside a run that is under way, and what they predict again."""

from typing import get_args

import psycopg
import pytest

from fvi_pipeline.cli.champion import ModelName
from fvi_pipeline.definitions import build_defs
from fvi_pipeline.defs.landing import RUN_LOCK
from fvi_pipeline.model.registry import MODELS
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import Settings
from fvi_pipeline.run.pipeline import change_champion, follows_from


def test_the_champion_stays_while_a_run_is_under_way(database_url: str, tmp_path) -> None:
    said: list[str] = []

    def change() -> str:
        raise AssertionError("the run that is under way would score with another model than it trained")

    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(hashtextextended(%s, 0))", [RUN_LOCK])
        settings = Settings(home=tmp_path, database_url=None, redis_url=None)
        with pytest.raises(PlatformError, match="Another run is under way"):
            change_champion(settings, Servers(database_url, ""), said.append, "fvi_viability", change)
    assert said == []


def test_the_command_knows_every_model_and_what_is_predicted_with_it() -> None:
    assert get_args(ModelName) == tuple(MODELS)
    graph = build_defs().resolve_asset_graph()
    keys = {name: {key.to_user_string() for key in follows_from(name).resolve(graph)} for name in MODELS}
    assert keys == {
        "fvi_viability": {
            "mart/fvi_scores",
            "mart/score_reasons",
            "mart/score_explanations",
            "feature_store/online_answers",
            "mart/closing_years",
            "feature_store/online_closing_years",
            "serving/bento",
        },
        "fvi_production": {"mart/production_forecasts", "feature_store/online_production_forecasts"},
        "fvi_next_status": {"mart/status_forecasts", "feature_store/online_status_forecasts"},
    }
