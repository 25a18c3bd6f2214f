"""Explanations, what-ifs and stored records: what adds up, and what is never taken for something else."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from fvi_pipeline.model.online_answers import ScoredRow, row_digest, unpack
from fvi_pipeline.serving.arms import MineFields, ServedModel
from fvi_pipeline.serving.errors import InvalidRequestError
from fvi_pipeline.serving.phrases import PHRASES_FILE, Words, phrases_to_json, read_phrases
from fvi_pipeline.serving.scorer import Question, Scorer
from fvi_pipeline.serving.what_if import check_what_if

MINE = {"mine_id": "msha:0000001", "horizon_years": 5}
ROW = np.array([1.2e6, 80, np.nan], dtype=np.float32)


@pytest.fixture
def served(model):
    types = dict.fromkeys(model.features, "DOUBLE") | {"average_employees": "INT64"}
    fields = MineFields("fvi", "mine_id", tuple(model.features), (b"aa", b"bb", b"cc"), types)
    return ServedModel(model, "7", "champion", fields, datetime(2024, 1, 1, tzinfo=UTC))


def score(served, horizon, record, what_if=None):
    question = Question(served, "msha:0000001", horizon, what_if)
    ((row, scored),) = asyncio.run(Scorer().score(served, [(question, ROW)], [record]))
    return row, scored


@pytest.mark.parametrize("features", [None, {"average_employees": 3}, {"average_employees": None}])
def test_base_and_contributions_are_the_log_odds_of_the_served_score(client, features):
    answer = client.post("/explain", json={**MINE, "features": features}).json()
    total = answer["base"] + sum(part["contribution"] for part in answer["contributions"])
    assert answer["log_odds"] == pytest.approx(total, abs=1e-9)
    assert 100 / (1 + np.exp(-total)) == pytest.approx(answer["fvi_score"], abs=1e-4)
    assert [abs(part["contribution"]) for part in answer["contributions"]] == sorted(
        (abs(part["contribution"]) for part in answer["contributions"]), reverse=True
    )
    predicted = client.post("/predict", json={**MINE, "features": features}).json()
    assert predicted["fvi_score"] == answer["fvi_score"]
    told = [{name: value for name, value in part.items() if name != "in_words"} for part in answer["contributions"]]
    assert predicted["top_features"] == told[:5]


def test_values_are_told_in_the_words_of_the_file_beside_the_model(client, application, tmp_path):
    cases = (("[0, 100)", "{number} people work here."), ("missing", "Nobody has counted the people."))
    words = {"average_employees": Words(cases, "not reported")}
    (tmp_path / PHRASES_FILE).write_text(phrases_to_json(words))
    predictor = application.state.backends.predictor

    def told(book, **more):
        predictor._sentence = book.sentence
        answer = client.post("/explain", json={**MINE, **more}).json()
        return {part["feature"]: part["in_words"] for part in answer["contributions"]}, answer["narrative"]

    sentences, narrative = told(read_phrases(tmp_path))
    assert sentences["average_employees"] == "80 people work here."
    assert sentences["coal_price_usd_per_tonne"] == "Coal price usd per tonne is not known."
    assert narrative.startswith(("For the mine: ", "Against the mine: "))
    assert "80 people work here." in narrative
    changed, _ = told(read_phrases(tmp_path), features={"average_employees": None})
    assert changed["average_employees"] == "Nobody has counted the people."
    (tmp_path / PHRASES_FILE).write_text("[]")
    plain, _ = told(read_phrases(tmp_path))
    assert plain["average_employees"] == "Average employees is 80."
    outside = client.post("/explain", json={**MINE, "mine_id": "msha:0000003"}).json()
    assert (outside["narrative"], outside["contributions"]) == (None, [])


def test_a_mine_outside_the_cohort_is_not_explained(client):
    answer = client.post("/explain", json={**MINE, "mine_id": "msha:0000003"}).json()
    assert answer["contributions"] == []
    assert answer["base"] is None
    assert "not producing in 2019" in answer["reason"]


@pytest.mark.parametrize("horizon", [1, 2, 3, 5, 10, 20])
def test_one_horizon_is_scored_as_all_are(model, horizon):
    rows = np.random.default_rng(3).random((50, 3)).astype(np.float32) * np.float32(1e3)
    place = model.horizons.index(horizon)
    assert model.score_at(rows, horizon) == [scores[place] for scores in model.score(rows)]


def test_a_stored_record_is_taken_for_its_own_values_only(served):
    _, computed = score(served, 5, None)
    told = replace(computed, probability=0.123)
    record = told.pack(row_digest(ROW))
    assert score(served, 5, record)[1].probability == 0.123
    assert np.array_equal(score(served, 5, record)[1].contributions, computed.contributions)
    # the caller's own values, a mine that was restated, a record of another length, rubbish
    changed = score(served, 5, record, {"average_employees": 3.0})
    assert changed[1].probability == served.model.probabilities(changed[0].reshape(1, -1), 5)[0]
    for other in (told.pack(row_digest(ROW + 1)), record[:-8], b"", b"x" * len(record)):
        assert score(served, 5, other)[1].probability == computed.probability


def test_a_record_keeps_every_digit():
    row = ScoredRow(1 / 3, 0.1, 0.7, -1 / 7, np.array([1e-300, -2 / 3, 5e5]))
    digest = row_digest(ROW)
    found = unpack(row.pack(digest), digest, 3)
    assert (found.probability, found.low, found.high, found.base) == (1 / 3, 0.1, 0.7, -1 / 7)
    assert found.contributions.tolist() == [1e-300, -2 / 3, 5e5]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"no_such_feature": 1.0}, "no feature no_such_feature"),
        ({"average_employees": 4.5}, "whole number"),
        ({"average_employees": -1.0}, "must lie between 0 and"),
        ({"production_short_tons": 1e12}, "must lie between"),
        ({"average_employees": 4.5, "production_short_tons": -5.0}, "; production_short_tons"),
    ],
)
def test_what_no_mine_could_have_is_refused_by_name(served, values, told):
    with pytest.raises(InvalidRequestError, match=told):
        check_what_if(served, values)


def test_values_of_the_training_data_and_missing_ones_are_welcome(served):
    for name, (low, high) in served.model.training_ranges.items():
        whole = served.fields.types[name] == "INT64"
        check_what_if(served, {name: float(round(low)) if whole else low})
        check_what_if(served, {name: float(int(high)) if whole else high})
    check_what_if(served, dict.fromkeys(served.model.features))


def test_every_answer_is_offered_to_the_log(client, log):
    client.post("/predict", json={**MINE, "features": {"average_employees": 3}})
    client.post("/predict_batch", json={"requests": [MINE, {**MINE, "mine_id": "gem:M0086"}]})
    client.post("/explain", json=MINE)
    client.post("/predict", json={**MINE, "mine_id": "msha:9999999"})  # no answer, no entry
    assert [entry.endpoint for entry in log.entries] == ["/predict", "/predict_batch", "/predict_batch", "/explain"]
    first, _, outside, _ = log.entries
    assert first.what_if == {"average_employees": 3}
    assert (first.as_of_year, first.known_at, first.model_version) == (2019, datetime(2020, 10, 1, tzinfo=UTC), "7")
    assert first.fvi_score is not None
    assert outside.fvi_score is None
    assert log.entries[1].request_id == log.entries[2].request_id != first.request_id


def test_the_answer_names_its_request(client, log):
    answer = client.post("/predict", json=MINE)
    assert answer.headers["x-request-id"] == log.entries[0].request_id
