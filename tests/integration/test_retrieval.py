"""Search on a real PostgreSQL: BM25 beside a plain one, filters, quality; mostly with a plain embedder of words."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
import yaml

from fvi_pipeline.evidence.bm25 import K1, B, search_words
from fvi_pipeline.evidence.embedding import load_embedder
from fvi_pipeline.evidence.filters import Filter
from fvi_pipeline.evidence.index import refresh
from fvi_pipeline.evidence.lexical import lexical_text, read_query
from fvi_pipeline.evidence.onnx_embedder import OnnxEmbedder
from fvi_pipeline.evidence.query import InvalidQueryError
from fvi_pipeline.evidence.questions import question_sets, store_quality
from fvi_pipeline.evidence.retrieval import Searcher, retrieve
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.settings import PROJECT_ROOT
from tests.integration.search_collection import KNOWN, WORDS, add, names, search, some_texts
from tests.integration.silver_documents import create_silver

QUESTIONS = PROJECT_ROOT / "fvi_pipeline" / "evidence" / "questions.yml"


@pytest.fixture
def connection(database_url):
    with connect(database_url) as opened:
        create_silver(opened)
        yield opened


def plain_bm25(texts, query, connection):
    """BM25 as its formula reads, over PostgreSQL's own words."""

    def words(text):
        found = connection.execute(
            "select lexeme, cardinality(positions) from unnest(to_tsvector('english', %s))", (lexical_text(text),)
        )
        return Counter(dict(found.fetchall()))

    bags = {name: words(text) for name, text in texts.items()}
    mean = sum(bag.total() for bag in bags.values()) / len(bags)
    scores = dict.fromkeys(bags, 0.0)
    for word, times in words(query).items():
        holding = sum(word in bag for bag in bags.values())
        weight = math.log(1 + (len(bags) - holding + 0.5) / (holding + 0.5))
        for name, bag in bags.items():
            norm = K1 * (1 - B + B * bag.total() / mean)
            scores[name] += times * weight * bag[word] * (K1 + 1) / (bag[word] + norm)
    return {name: score for name, score in scores.items() if score}


def test_words_are_ranked_by_exact_bm25_whatever_came_and_went(connection):
    texts = some_texts(60, 1)
    add(connection, texts)
    refresh(connection, WORDS)
    for round_ in range(2, 18):  # more segments than are kept apart
        for name in list(texts)[:: round_ + 3]:
            texts[name] = f"mined seam {round_} {texts[name]}"
        gone = list(texts)[round_]
        connection.execute("delete from landing.documents where document_id = %s", (gone,))
        del texts[gone]
        add(connection, {name: text for name, text in texts.items() if f"seam {round_}" in text})
        new = some_texts(2, round_)
        texts |= new
        add(connection, new)
        refresh(connection, WORDS)
        for query in ("mining of the seams", "vents drained, vents hauled", f"seam {round_}", "nothing here"):
            hits = search_words(connection, read_query(query))
            numbers = dict(connection.execute("select passage_no, document_id from evidence.passages").fetchall())
            found = {
                numbers[n]: s for n, s in zip(*(a.tolist() for a in hits.best(1_000)), strict=True) if n in numbers
            }
            assert found == pytest.approx(plain_bm25(texts, query, connection))
    assert connection.execute("select count(*) from evidence.segments").fetchone()[0] <= 12
    assert connection.execute("select count(*) from evidence.passages").fetchone()[0] == len(texts)


def test_filters_phrases_duplicates_and_documents(connection):
    add(
        connection,
        {"old": "The vent shaft was sealed early."},
        known_at=datetime(2020, 1, 1, tzinfo=UTC),
        mines=["msha:1"],
    )
    add(connection, {"new": "The shaft has a vent that was sealed."}, mines=["msha:1", "gem:M1"], kind="wiki")
    add(connection, {"copy": "The shaft has one vent that was sealed!"}, group="new", kind="note")
    connection.execute("update landing.document_chunks set duplicate_group = 'new' where document_id = 'new'")
    add(connection, {"polski": "Szyb wentylacyjny, vent shaft"}, language="pl")
    connection.commit()
    refresh(connection, WORDS)
    for mode in ("hybrid", "text", "vector"):
        assert set(names(search(connection, "vent shaft sealed", mode=mode))) in (
            {"old", "new", "polski"},
            {"old", "copy", "polski"},
        )
        assert set(names(search(connection, "vent shaft", mode=mode, only=Filter(mine_id="msha:1")))) == {"old", "new"}
        assert names(search(connection, "vent shaft", mode=mode, only=Filter(kinds=["note"]))) == ["copy"]
        assert names(search(connection, "vent shaft", mode=mode, only=Filter(language="pl"))) == ["polski"]
        assert names(search(connection, "vent shaft", mode=mode, only=Filter(known_by=KNOWN.replace(hour=11)))) == [
            "old"
        ]
        assert search(connection, "vent shaft", mode=mode, only=Filter(mine_id="msha:2")) == []
        assert set(names(search(connection, '"vent shaft" sealed', mode=mode))) == {"old", "polski"}
        # a phrase that nothing holds is no more than its words
        assert "old" in names(search(connection, '"sealed vent shaft"', mode=mode))
    first = search(connection, "the vent shaft was sealed early", 1)[0]
    assert (first.document_id, first.score, first.text_rank, first.vector_rank) == ("old", 1.0, 1, 1)
    assert (first.mine_ids, first.known_at, first.source) == (
        ["msha:1"],
        datetime(2020, 1, 1, tzinfo=UTC),
        "documents/old",
    )
    # facts follow without a new index of words or a new vector
    connection.execute("delete from evidence.chunk_mines where chunk_id like 'old%'")
    connection.execute(
        "insert into evidence.chunk_mines "
        "select chunk_id, 'msha:9', 'name' from landing.document_chunks where document_id = 'old'"
    )
    report = refresh(connection, WORDS)
    assert (report.added, report.removed, report.changed, report.embedded) == (0, 0, 1, 0)
    assert names(search(connection, "shaft", only=Filter(mine_id="msha:9"))) == ["old"]


def test_filters_that_let_much_through_are_exact_too(connection, monkeypatch):
    monkeypatch.setattr("fvi_pipeline.evidence.filters.NARROW", 5)
    monkeypatch.setattr("fvi_pipeline.evidence.arms.NARROW", 5)
    add(connection, some_texts(300, 3))
    add(connection, some_texts(30, 4), kind="wiki")
    refresh(connection, WORDS)
    connection.execute("set enable_seqscan = off")  # so small a table would be read whole
    wanted = dict(connection.execute("select document_id, text from evidence.passages where kind = 'wiki'").fetchall())
    vectors = WORDS.encode(list(wanted.values()))
    for query in ("mining shafts", "drained seam vents"):
        nearest = sorted(zip(wanted, vectors @ WORDS.encode_query(query), strict=True), key=lambda pair: -pair[1])
        found = search(connection, query, 10, mode="vector", only=Filter(kinds=["wiki"]))
        assert {p.document_id for p in found} == {name for name, _ in nearest[:10]}
        assert [p.similarity for p in found] == pytest.approx([s for _, s in nearest[:10]], abs=1e-5)
        exact = plain_bm25(wanted, query, connection)
        assert set(names(search(connection, query, 50, mode="text", only=Filter(kinds=["wiki"])))) == set(exact)


def test_accents_scripts_and_joined_words_are_found(connection):
    texts = {
        "pl": "Zofiówka shaft",
        "cn": "枣庄矿业柴里煤矿报告",
        "ru": "Угольная шахта",
        "slash": "lift/drag of U.S. plants",
    }
    add(connection, texts)
    refresh(connection, WORDS)
    for query, name in [
        ("ZOFIOWKA", "pl"),
        ("柴里煤矿", "cn"),
        ("шахта угольная", "ru"),
        ("drag", "slash"),
        ("US", "slash"),
    ]:
        assert names(search(connection, query, mode="text")) == [name]


@pytest.mark.parametrize(
    ("query", "asked"),
    [("", {}), ("  ", {}), ("x" * 2_001, {}), ("a\x00b", {}), ("coal", {"k": 0}), ("coal", {"k": 51}),
     ("coal", {"mode": "magic"}), ("coal", {"only": Filter(kinds=["tabloid"])})],
)  # fmt: skip
def test_queries_out_of_range_are_refused(connection, query, asked):
    with pytest.raises(InvalidQueryError):
        search(connection, query, **asked)


def test_a_query_is_data_and_nothing_is_found_in_nothing(connection):
    assert search(connection, "coal") == []
    add(connection, {"one": "coal of the mine"})
    refresh(connection, WORDS)
    for query in ("'; drop table landing.documents; --", '"', '"the" of', "a & b | !c <-> (", "%s %(x)s \\ \ud7ff 🪨"):
        for mode in ("hybrid", "text", "vector"):
            search(connection, query, mode=mode)
    assert connection.execute("select count(*) from landing.documents").fetchone() == (1,)


@pytest.fixture(scope="session")
def exports(tmp_path_factory):
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="session")
def minilm(exports):
    return load_embedder(exports=exports)


def test_the_model_is_exported_once_and_then_needs_no_torch(minilm, exports):
    assert isinstance(minilm, OnnxEmbedder)  # whose export was compared with torch's vectors
    script = (
        "import sys, pathlib, fvi_pipeline.evidence.embedding as e\n"
        f"print(e.load_embedder(exports=pathlib.Path({str(exports)!r})).encode_query('a mine').tolist())\n"
        "assert 'torch' not in sys.modules"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert np.allclose(np.fromstring(printed.strip("[]\n"), sep=","), minilm.encode_query("a mine"), atol=1e-6)
    texts = ["short", "a longer text about a mine " * 30, "", "煤矿"]
    alone = np.stack([minilm.encode_query(text) for text in texts])
    assert np.allclose(minilm.encode(texts), alone, atol=1e-5)


def test_passages_are_found_by_meaning_with_the_default_model(connection, minilm):
    add(connection, {
        "methane": "Drained gas from the longwall is burned in engines that make electricity.",
        "union": "The miners' union signed a five-year wage agreement after a strike of three weeks.",
        "rail": "Freight rates of the railway rose by a tenth; the port cannot load more ships.",
        "closure": "The owner filed for bankruptcy; the mine will be sealed and the site reclaimed.",
        "plant": "The power station that buys all of the coal will be retired by 2030.",
    })  # fmt: skip
    refresh(connection, minilm)
    for query, name in [
        ("labour dispute and pay", "union"),
        ("insolvency of the operator", "closure"),
        ("transport bottleneck", "rail"),
        ("customer stops burning coal", "plant"),
        ("gas capture", "methane"),
    ]:
        assert names(retrieve(connection, minilm, query, 3, mode="vector"))[0] == name
        assert names(retrieve(connection, minilm, query, 3))[0] == name
    stored = connection.execute("select embedding::text from evidence.chunk_embeddings").fetchall()
    lengths = [np.linalg.norm(np.fromstring(text[1:-1], sep=",")) for (text,) in stored]
    assert np.allclose(lengths, 1, atol=1e-5)


def test_the_quality_of_answers_is_measured_and_stored(connection):
    connection.execute(
        "create table silver.silver_mine_profiles (mine_id text, mine_name text, state_province text, country text)"
    )
    connection.execute("insert into silver.silver_mine_profiles values ('gem:M1', 'Olive', 'Utah', 'United States')")
    pages = {
        page for half in yaml.safe_load(QUESTIONS.read_text()).values() for entry in half for page in entry["pages"]
    }
    for page in sorted(pages):
        name = f"system:{page}"
        add(connection, {name: f"{page} {page.replace('-', ' ').replace('/', ' ')}"}, kind="system")
        connection.execute("update landing.documents set source = %s where document_id = %s", (page, name))
    add(connection, {"sheet": "Olive is a mine in Utah."}, kind="fact_sheet", mines=["gem:M1"])
    add(connection, {"note": "A shaft of Olive."}, kind="note", mines=["gem:M1"])
    refresh(connection, WORDS)
    sets = question_sets(connection)
    assert set(sets) == {"system_a", "system_b", "mines"}
    assert [(question.text, question.grades) for question in sets["mines"]] == [
        ("Who operates Olive in Utah?", {"sheet": 2, "note": 1})
    ]
    rows = store_quality(connection, Searcher(WORDS))
    stored = connection.execute(
        "select question_set, mode, measure, mean, low, high, questions, passages from mart.retrieval_quality"
    ).fetchall()
    assert len(stored) == rows == 27
    assert all(0 <= low <= mean <= high <= 1 for *_, mean, low, high, _, _ in stored)
    assert ("mines", "text", "mrr_at_10", 1, 1, 1, 1, len(pages) + 2) in stored
