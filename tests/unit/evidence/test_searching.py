"""What searching does without a database: queries read, ranks fused, documents spread, rankings measured."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fvi_pipeline.evidence.embedding import embedding_text
from fvi_pipeline.evidence.evaluate import UnusableCollectionError, read_judgements, read_queries
from fvi_pipeline.evidence.evaluation import measure, ndcg, recall, reciprocal_rank
from fvi_pipeline.evidence.fusion import Candidate, distinct, fuse, spread
from fvi_pipeline.evidence.lexical import lexical_text, passage_text, read_query, told_title
from fvi_pipeline.evidence.query import InvalidQueryError, end_of
from fvi_pipeline.platform.settings import PROJECT_ROOT


def found(name, score, group=None, document=None):
    return Candidate(hash(name), name, document or name, group or name, f"sha of {name}", score)


@given(st.text())
def test_lexical_text_says_the_same_of_itself(text):
    once = lexical_text(text)
    assert lexical_text(once) == once
    assert once == once.strip()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Zofiówka, lift/drag", "zofiowka lift drag"),
        ("12,500 t in the U.S. (3.5 %)", "12500 t in the us 3.5"),
        ("see https://www.gem.wiki/Some_Mine?x=1.", "see gem wiki"),
        ("柴里煤矿 (M0086)", "柴里 里煤 煤矿 m0086"),
        ("msha:0102838", "msha 0102838"),
    ],
)
def test_words_are_told_apart(text, words):
    assert lexical_text(text) == words


def test_queries_titles_and_headings_are_read():
    assert read_query('of “Vent Shaft" and "x"').phrases == ("vent shaft", "x")
    assert passage_text("Bailey Mine", "Owner > Site", "Bailey mine is deep.") == "owner site bailey mine is deep"
    assert embedding_text("Bailey Mine", "Owner > Site", "It is deep, see https://a.org/x") == (
        "Bailey Mine\nSite\nIt is deep, see a.org"
    )
    assert embedding_text("Sheet", None, "One two.\n\nThree.", "fact_sheet") == "Sheet\nOne two."
    assert [told_title(title, f"documents/{stem}.txt") for title, stem in [
        ("0042", "0042"), ("doc 7", "doc-7"), ("annual report 2020", "annual_report-2020"), ("A7", "other"),
    ]] == [None, None, "annual report 2020", "A7"]  # fmt: skip


def test_a_day_means_its_end():
    assert end_of("2024-04-30") == datetime(2024, 4, 30, 23, 59, 59, 999999, UTC)
    assert end_of("2024-04-30T12:00:00+02:00") == datetime(2024, 4, 30, 10, tzinfo=UTC)
    for wrong in ("soon", "2024", "2024-13-01", "0001-01-01", "9999-12-31", ""):
        with pytest.raises(InvalidQueryError):
            end_of(wrong)


def test_near_duplicates_collapse_and_ranks_are_fused():
    words = distinct([found("a", 5), found("copy of a", 4, group="a"), found("b", 4), found("c", 4)])
    assert [one.chunk_id for one in words] == ["a", "b", "c"]
    meaning = [found("b", 0.9), found("a2", 0.8, group="a"), found("d", 0.7)]
    hits = fuse({"text": words, "vector": meaning}, constant=60)
    # the first two have equal scores, and so have the others
    assert [(hit.candidate.chunk_id, hit.text_rank, hit.vector_rank) for hit in hits] == [
        ("a", 1, 2), ("b", 2, 1), ("c", 3, None), ("d", None, 3)
    ]  # fmt: skip
    assert hits[0].score == pytest.approx(61 / 2 * (1 / 61 + 1 / 62))
    assert [hit.score for hit in fuse({"text": words})] == [5, 4, 4]


def test_documents_are_spread_and_none_is_lost():
    hits = fuse({"text": [found(f"{name}{n}", 9 - n, document=name) for n in range(3) for name in "xy"]})
    order = [hit.candidate.document_id for hit in spread(hits, 6, 1)]
    assert order[:2] == ["x", "y"]
    assert sorted(order) == ["x"] * 3 + ["y"] * 3
    hits = fuse({"text": [found("x0", 9, document="x"), found("x1", 8, document="x"), found("y0", 7, document="y")]})
    assert [(hit.candidate.chunk_id, hit.score) for hit in spread(hits, 3, 1)] == [("x0", 9), ("y0", 7), ("x1", 7)]
    assert [hit.candidate.chunk_id for hit in spread(hits, 2, None)] == ["x0", "x1"]


def test_measures_are_those_of_the_papers():
    gains = {"a": 2.0, "b": 1.0, "z": 0.0}
    assert ndcg(["a", "b"], gains) == 1
    assert ndcg(["x", "b", "a"], gains) == pytest.approx((1 / math.log2(3) + 2 / 2) / (2 + 1 / math.log2(3)))
    assert recall(["x", "b"], gains) == 0.5
    assert reciprocal_rank(["z", "b"], gains) == 0.5
    measured = measure({"1": ["a"], "2": []}, {"1": {"a": 1}, "2": {"a": 1}, "3": {"a": 0}})["ndcg_at_10"]
    assert (measured.mean, measured.low, measured.high) == (0.5, 0, 1)


def test_files_of_queries_and_judgements(tmp_path):
    path = tmp_path / "file"
    path.write_text("1\tWhat of it?\n2 and that\n\n")
    assert read_queries(path) == {"1": "What of it?", "2": "and that"}
    path.write_text("1 0 doc7 2\n1 0 doc8 -1\n2 doc7 1\n")
    assert read_judgements(path) == {"1": {"doc7": 2, "doc8": 0}, "2": {"doc7": 1}}
    for reader, text in ((read_queries, "1\n"), (read_judgements, "1 0 doc relevant\n")):
        path.write_text(text)
        with pytest.raises(UnusableCollectionError, match="line 1"):
            reader(path)


def test_the_questions_are_answered_by_pages_that_exist():
    halves = yaml.safe_load((PROJECT_ROOT / "fvi_pipeline" / "evidence" / "questions.yml").read_text())
    entries = [entry for half in halves.values() for entry in half]
    assert len(entries) >= 60
    assert len({entry["ask"] for entry in entries}) == len(entries)
    for entry in entries:
        assert all((PROJECT_ROOT / page).is_file() and grade in (1, 2) for page, grade in entry["pages"].items())
