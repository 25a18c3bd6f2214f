"""A sentence is held against what it cites: numbers with unit and rounding, direction, words."""

import pytest

from fvi_pipeline.answers.checking import check
from fvi_pipeline.answers.fact import Fact, Passage, Value

PRODUCTION = Fact(
    "Bailey Mine (msha:3607230) produced 12,218,072 short tons in 2019.",
    "silver.silver_mine_years",
    {"mine_id": "msha:3607230", "as_of_year": 2019},
    (Value("production_short_tons", 12218072, "short tons"), Value("year", 2019, "year")),
    2019,
)
SCORE = Fact(
    "The FVI score of Bailey Mine at 5 years is 95.8 of 100.",
    "mart.fvi_scores",
    {"mine_id": "msha:3607230", "as_of_year": 2019, "horizon_years": 5},
    (Value("fvi_score", 95.7625, "points"), Value("target_year", 2024, "year"), Value("horizon_years", 5, "years")),
    2019,
)
FELL = Fact(
    "Production of Bailey Mine fell from 12,735,390 to 12,218,072 short tons (-4.1%) from 2018 to 2019.",
    "silver.silver_mine_years",
    {"as_of_year": 2019},
    (
        Value("production_short_tons", 12218072, "short tons"),
        Value("former_production_short_tons", 12735390, "short tons"),
        Value("relative_change", 12218072 / 12735390 - 1, "share"),
        Value("former_year", 2018, "year"),
    ),
    2019,
)
PASSAGE = Passage("d#0", "d", "The ventilation shaft at Grosvenor is 412 metres deep and was sunk in 2015.", "GEM", 0.9)


@pytest.mark.parametrize(
    ("sentence", "cited", "is_supported"),
    [
        ("Bailey Mine produced 12,218,072 short tons in 2019.", PRODUCTION, True),
        ("Bailey Mine produced 12.2 million short tons in 2019.", PRODUCTION, True),
        ("Bailey Mine produced about 12 million short tons in 2019.", PRODUCTION, True),
        ("Bailey Mine produced 11.08 million tonnes in 2019.", PRODUCTION, True),
        ("Bailey Mine produced 12.2 million tonnes in 2019.", PRODUCTION, False),
        ("Bailey Mine produced 12,218,073 short tons in 2019.", PRODUCTION, False),
        ("Bailey Mine produced 12.3 million short tons in 2019.", PRODUCTION, False),
        ("Bailey Mine produced 12,218,072 short tons in 2018.", PRODUCTION, False),
        ("Bailey Mine produced 12,218,072 people in 2019.", PRODUCTION, False),
        ("The FVI score of Bailey Mine at 5 years is 95.8.", SCORE, True),
        ("The FVI score of Bailey Mine is 96 of 100.", SCORE, True),
        ("The probability, by the FVI score of Bailey Mine at 5 years, is 95.8%.", SCORE, True),
        ("The FVI score of Bailey Mine at 5 years is 95.7.", SCORE, False),
        ("The FVI score of Bailey Mine at 10 years is 95.8.", SCORE, False),
        ("Production of Bailey Mine fell by 4.1% from 2018 to 2019.", FELL, True),
        ("Production of Bailey Mine rose from 12,218,072 to 12,735,390 short tons.", FELL, False),
        ("Production of Bailey Mine fell by 5.1% from 2018 to 2019.", FELL, False),
        ("Production of Bailey Mine did not change from 2018 to 2019.", FELL, False),
        ("Bailey Mine is owned by a wizard of great renown in Gondor.", SCORE, False),
        ("The ventilation shaft at Grosvenor is 412 metres deep and was sunk in 2015.", PASSAGE, True),
        ("The shaft at Grosvenor was sunk in 2015 to 412 metres.", PASSAGE, True),
        ("The shaft at Grosvenor is 421 metres deep.", PASSAGE, False),
    ],
)
def test_what_a_sentence_cites_supports_it_or_not(sentence, cited, is_supported):
    found = check(sentence, [cited])
    assert found.supported is is_supported, found.problems


def test_a_sentence_that_cites_nothing_is_not_supported():
    assert check("Bailey Mine is closed.", []).problems == ("it cites nothing",)


def test_digits_in_names_are_no_numbers():
    fact = Fact(
        "No 7 Mine (msha:0101401) is operated by Pit 51 Llc.",
        "silver.silver_mine_profiles",
        {"mine_id": "msha:0101401"},
        (Value("operating_company", "Pit 51 Llc"),),
        mine_id="msha:0101401",
    )
    assert check(fact.sentence, [fact], ["No 7 Mine"]).supported
    assert not check("No 7 Mine is operated by 52 people of Pit 51 Llc.", [fact], ["No 7 Mine"]).supported


def test_several_sources_support_a_sentence_together():
    sentence = "Bailey Mine produced 12,218,072 short tons in 2019, and its FVI score at 5 years is 95.8."
    assert check(sentence, [PRODUCTION, SCORE]).supported
    assert not check(sentence, [PRODUCTION]).supported
