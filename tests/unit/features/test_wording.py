"""Sentences of feature values: true to the sign and to the number, whatever the value."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fvi_pipeline.features import wording
from fvi_pipeline.features.catalogue import FeatureColumn, load_catalogue
from fvi_pipeline.features.errors import CatalogueError
from fvi_pipeline.features.wording import faults, number, sentence
from tests.unit.features.small_manifest import FEATURE, column, write_manifest

_FALLS = re.compile(r"\b(fell|below|lower)\b")
_RISES = re.compile(r"\b(rose|grew|above|higher)\b")
_NAMES = {"no": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_NAMES |= {"ten": 10, "eleven": 11, "twelve": 12, "once": 1, "twice": 2, "nobody": 0, "nothing": 0}
_NAMES |= {"half": 1 / 2, "a third": 1 / 3, "two thirds": 2 / 3, "a quarter": 1 / 4, "three quarters": 3 / 4}
_NAMES |= {"a fifth": 1 / 5, "two fifths": 2 / 5, "three fifths": 3 / 5, "four fifths": 4 / 5}
_SCALES = {"": 1.0, "million": 1e6, "billion": 1e9, "trillion": 1e12}
_NUMBER = re.compile(r"(-?\d[\d,]*(?:\.\d+)?)(?: (million|billion|trillion))?")

VALUES = st.one_of(
    st.integers(-3, 40).map(float),
    st.sampled_from(
        [0.0, 1.0, -1.0, 0.5, 1 / 3, 2 / 3, 0.75, 0.999999, 1.000001, 1e-9, -1e-9, 99.99, 100.0, 4753.4242]
    ),
    st.floats(-1.5, 2.5, width=32),
    st.floats(-(2.0**40), 2.0**40, width=32),
)


@pytest.fixture(scope="module")
def features(manifest: Path) -> list[FeatureColumn]:
    return [column for column in load_catalogue(manifest).features if column.role == "feature"]


def words(feature: FeatureColumn, value: float | None) -> str:
    return sentence(feature.name, feature.in_words, value, null_means=feature.null_means)


def numbers_in(text: str) -> Iterator[float]:
    for digits, scale in _NUMBER.findall(text):
        yield float(digits.replace(",", "")) * _SCALES[scale]
    yield from (value for name, value in _NAMES.items() if re.search(rf"\b{name}\b", text.lower()))


def is_said(text: str, value: float) -> bool:
    """Whether the text has the value in one of the forms, as exactly as three digits or a percent can say."""
    forms = [value, abs(value), 100 * abs(value), 100 * (1 - value), 100 * (value - 1), 1 + value]
    return any(
        math.isclose(said, form, rel_tol=0.051 if "%" in text and abs(form) < 10 else 0.0051, abs_tol=1e-30)
        or ("%" in text and abs(form) >= 10 and abs(said - form) <= 0.5)
        for said in numbers_in(text)
        for form in forms
    )


def test_every_feature_has_words_for_its_null_and_for_usual_values(features):
    assert len(features) >= 60
    for feature in features:
        can_be_null = feature.null_means != wording.NEVER_NULL
        assert (wording.MISSING in dict(feature.in_words)) == can_be_null, feature.name
        assert faults(dict(feature.in_words), can_be_null=can_be_null) == []
        plain = sentence(feature.name, (), 1.0)
        assert words(feature, 1.0) != plain, feature.name
        assert words(feature, None).endswith(".")
        if can_be_null:
            assert not any(character.isdigit() for character in words(feature, None))


@settings(max_examples=300, deadline=None)
@given(value=VALUES)
def test_words_match_the_sign_and_the_number_of_any_value(features, value):
    for feature in features:
        text = words(feature, value)
        assert re.match(r"^[A-Z0-9-].*[^.]\.$", text), text
        assert not re.search(r"[{}|]|nan|inf\b|e[-+]\d", text), text
        if text == sentence(feature.name, (), value):  # beyond what can be: stated as it stands
            assert is_said(text, value), (feature.name, value, text)
            continue
        if "survival_above" in feature.name:
            assert ("below" in text, "above" in text) == (value < 0, value > 0), text
        signed = re.search(r"change|trend|acceleration", feature.name) and feature.unit != "0 or 1"
        compared = re.search(r"_to_(peak|recent_peak|own_best|peers|mean)", feature.name)
        if (signed or compared) and feature.unit != "count":
            off = value - (1 if compared else 0)
            assert bool(_FALLS.search(text)) == (off < 0), (feature.name, value, text)
            assert bool(_RISES.search(text)) == (0 < off < math.inf) or "times that of all" in text, (value, text)
        if feature.unit == "0 or 1":
            assert value in (0.0, 1.0)
            assert bool(re.search(r"\b(not|no|is the same as)\b", text)) == (value == 0), text
        elif value not in (0.0, 1.0):
            assert is_said(text, value), (feature.name, value, text)


def test_the_ends_of_a_scale_are_not_said_of_what_is_only_near_them(features):
    by_name = {feature.name: feature for feature in features}
    assert words(by_name["production_to_peak"], 1.0) == "Output is at its peak."
    assert words(by_name["production_to_peak"], 0.6000000238418579) == "Output fell 40% from its peak."
    assert words(by_name["production_to_peak"], 0.0004) == "Output fell 99.96% from its peak."
    assert words(by_name["production_to_peak"], 0.9999) == "Output fell 0.01% from its peak."
    assert words(by_name["production_to_peak"], 1.2) == "Production to peak is 1.2."
    other = by_name["operator_other_mines_lost_share_1y"]
    assert words(other, 0.6666666865348816) == (
        "Two thirds of the operator's other mines that produced the year before no longer do."
    )
    assert words(by_name["production_restarts"], 2.0) == "The mine restarted twice after a year without output."
    assert words(by_name["average_employees"], 1.0) == "The mine employs 1 person."
    assert words(by_name["us_production_change_1y"], float("nan")) == (
        "The country's output of the year before is not known."
    )


@given(value=st.floats(-1e14, 1e14))
def test_a_number_for_people_has_three_digits_that_count(value):
    (said,) = list(numbers_in(number(value)))[:1]
    assert math.isclose(said, value, rel_tol=0.0051, abs_tol=1e-300)


def test_a_feature_that_nobody_described_is_stated_as_it_stands():
    assert sentence("ash_content", (), 0.25) == "Ash content is 0.25."
    assert sentence("ash_content", (), None, null_means="not published") == "Ash content is not known: not published."
    assert sentence("ash_content", (), None, null_means=wording.NEVER_NULL) == "Ash content is not known."


@pytest.mark.parametrize(
    ("in_words", "fault"),
    [
        (None, "in_words is missing"),
        ({"[0, inf)": "It is {number}."}, "in_words has no sentence for missing"),
        ({"missing": "It is not known."}, "no sentence for a value"),
        ({"[0, 1": "It is {number}.", "missing": "Not known."}, "neither a number nor an interval"),
        ({"[0, 1)": "It is high.", "missing": "Not known."}, "does not say the number"),
        ({"[0, 1)": "It is {value}.", "missing": "Not known."}, "{value} is none of number"),
        ({"[0, 1)": "it is {number}", "missing": "Not known."}, "not one sentence"),
        ({"[0, 1)": "It is. It is {number}.", "missing": "Not known."}, "not one sentence"),
        ({"[0, 1)": "It is so: {number}.", "missing": "Not known."}, "no colon"),
        ({"1": "It is so.", "missing": "It is not {number}."}, "no value to fill in"),
    ],
)
def test_words_that_cannot_be_used_are_refused_with_the_column(tmp_path, in_words, fault):
    meta = {**FEATURE, "in_words": in_words}
    with pytest.raises(CatalogueError, match="zinc: in_words") as error:
        load_catalogue(write_manifest(tmp_path, [column("zinc", meta)]))
    assert fault in str(error.value)


def test_words_are_no_part_of_a_features_definition(tmp_path):
    from fvi_pipeline.features.versions import _as_json, _from_json, described_version

    def version(in_words: dict[str, str]):
        meta = {**FEATURE, "in_words": in_words}
        return described_version(load_catalogue(write_manifest(tmp_path, [column("zinc", meta)])), 1)

    first = version({"[0, inf)": "It is {number}.", "missing": "Not known."})
    second = version({"(-inf, inf)": "It may be {number}.", "missing": "Unknown."})
    assert first.digest == second.digest
    noted = json.loads(json.dumps([_as_json(entry) for entry in first.columns]))
    assert next(map(_from_json, noted)).column.in_words == first.columns[0].column.in_words
    for entry in noted:
        del entry["in_words"]  # noted before there were words
    assert _from_json(noted[0]).column.in_words == ()
