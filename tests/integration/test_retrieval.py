"""Search on a real PostgreSQL: BM25 beside a plain one, filters, models, kills; mostly with a plain embedder."""

from __future__ import annotations

import hashlib
import math
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime

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
from fvi_pipeline.evidence.vectors import current_model
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.settings import PROJECT_ROOT
from tests.integration.silver_documents import create_silver

QUESTIONS = PROJECT_ROOT / "fvi_pipeline" / "evidence" / "questions.yml"
KNOWN = datetime(2024, 4, 30, 12, tzinfo=UTC)


class HashEmbedder:
    """Words as directions: deterministic, in no time, and like texts are near each other."""

    def __init__(self, name="words", dimension=32, salt=""):
        self.model_name, self.dimension, self._salt = name, dimension, salt

    def encode(self, texts):
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in lexical_text(text).split() or ["-"]:
                seed = hashlib.sha256((self._salt + word).encode()).digest()[:4]
                vectors[row] += np.random.default_rng(int.from_bytes(seed)).standard_normal(self.dimension)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_query(self, query):
        return self.encode([query])[0]


WORDS = HashEmbedder()


@pytest.fixture
def connection(database_url):
    with connect(database_url) as opened:
        create_silver(opened)
        yield opened


def add(connection, texts, **facts):
    """One document and one chunk a text, by name; a name that is there gets the new text."""
    values = {"kind": "file", "language": "en", "known_at": KNOWN, "title": None, "mines": (), "group": None, **facts}
    for name, text in texts.items():
        digest = hashlib.sha256(text.encode()).hexdigest()
        connection.execute("delete from landing.documents where document_id = %s", (name,))
        connection.execute(
            """
            insert into landing.documents
                (document_id, source, title, text, content_sha256, known_at, kind, language, document_date)
            values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
            """,
            (name, f"documents/{name}", values["title"], text, digest, values["known_at"], values["kind"],
             values["language"], date(2020, 1, 1)),
        )  # fmt: skip
        chunk = f"{name}#0-{digest[:8]}"
        connection.execute(
            """
            insert into landing.document_chunks (chunk_id, document_id, position, text, content_sha256, duplicate_group)
            values (%s, %s, 0, %s, %s, %s)
            """,
            (chunk, name, text, digest, values["group"] or chunk),
        )
        for mine in values["mines"]:
            connection.execute("insert into evidence.chunk_mines values (%s, %s, 'source')", (chunk, mine))
    connection.commit()


def names(passages):
    return [passage.document_id for passage in passages]


def search(connection, query, k=10, **asked):
    return retrieve(connection, WORDS, query, k, **asked)


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


def some_texts(count, seed):
    draw = random.Random(seed)
    vocabulary = [
        f"{stem}{end}" for stem in ("min", "shaft", "vent", "drain", "haul", "seam") for end in ("ing", "s", "er", "ed")
    ]
    return {f"t{seed}-{n}": " ".join(draw.choices(vocabulary, k=draw.randint(1, 40))) for n in range(count)}


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


def test_nothing_is_done_twice_and_sheets_may_wait(connection):
    add(connection, {"note": "A vent shaft."})
    add(
        connection,
        {f"sheet{n}": f"Mine number {n} is active.\n\nIt made {n} tons." for n in range(5)},
        kind="fact_sheet",
    )
    report = refresh(connection, WORDS, limit=2)
    assert (report.added, report.embedded, report.waiting) == (6, 3, 3)
    assert names(search(connection, "number 4", 1, mode="text")) == ["sheet4"]
    # the figures of a sheet are words and not meaning: another figure, the same vector
    add(connection, {"sheet0": "Mine number 0 is active.\n\nIt made 99 tons."}, kind="fact_sheet")
    report = refresh(connection, WORDS, limit=0)
    assert (report.added, report.removed, report.embedded, report.waiting) == (1, 1, 0, 3)
    assert refresh(connection, WORDS).embedded == 3
    before = connection.execute("select xmin, * from evidence.passages order by passage_no").fetchall()
    report = refresh(connection, WORDS)
    assert (report.added, report.removed, report.changed, report.embedded, report.waiting) == (0, 0, 0, 0, 0)
    assert connection.execute("select xmin, * from evidence.passages order by passage_no").fetchall() == before


def test_another_model_is_embedded_beside_the_old_one_and_then_takes_its_place(connection, database_url):
    texts = some_texts(20, 5)
    add(connection, texts)
    refresh(connection, WORDS)
    query = next(iter(texts.values()))
    other = HashEmbedder("other", dimension=48)
    old, seen = Searcher(WORDS), []
    assert old.retrieve(connection, query, 1, mode="vector")[0].similarity == pytest.approx(1, abs=1e-5)
    connection.commit()

    class KilledError(Exception):
        pass

    def killed(done, total):
        with connect(database_url, autocommit=True) as another:
            seen.append((current_model(another).model_name, len(old.retrieve(another, query, 5, mode="vector"))))
        raise KilledError

    with pytest.raises(KilledError):
        refresh(connection, other, killed)
    connection.rollback()
    assert seen == [("words", 5)]
    assert current_model(connection).model_name == "words"
    refresh(connection, other)
    assert current_model(connection).model_name == "other"
    assert names(retrieve(connection, other, query, 1, mode="vector")) == names(old.retrieve(connection, query, 1))
    # who still holds the former model is answered from its vectors; the one before it is gone
    assert len(old.retrieve(connection, query, 5, mode="vector")) == 5
    refresh(connection, HashEmbedder("other", dimension=48, salt="other weights by the same name"))
    states = connection.execute(
        "select state, count(*) from evidence.embedding_models group by 1 order by 1"
    ).fetchall()
    assert states == [("current", 1), ("retired", 1)]
    assert old.retrieve(connection, query, 5, mode="vector") == []
    assert len(old.retrieve(connection, query, 5)) == 5


def reconcile(connection, count):
    """Every chunk is a passage, has its words and its vector; and the counts of the words agree."""
    assert (
        connection.execute(
            """
        select (select count(*) from silver.silver_document_content), (select count(*) from evidence.passages),
            (select sum(sign * passages) from evidence.segments),
            (select count(*) from evidence.passages join evidence.chunk_embeddings using (embedded_sha256))
        """
        ).fetchone()
        == (count,) * 4
    )


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from tests.integration.test_retrieval import WORDS
from fvi_pipeline.evidence import index
from fvi_pipeline.platform.database import connect
place = {place!r}
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if place == "publish":
    index.make_current = kill
index.refresh(connect({url!r}), WORDS, kill if place == "embed" else None)
"""


@pytest.mark.parametrize("place", ["embed", "publish"])
def test_a_killed_refresh_leaves_the_old_index_and_the_next_one_completes(connection, database_url, request, place):
    texts = some_texts(100, 6)
    add(connection, texts)
    refresh(connection, WORDS)
    reconcile(connection, 100)
    before = search(connection, "mining seams")
    connection.commit()
    add(connection, {"t6-0": "another text", **some_texts(100, 7)})
    script = KILLED.format(root=str(request.config.rootpath), url=database_url, place=place)
    killed = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(request.config.rootpath)}
    )
    assert killed.returncode == -signal.SIGKILL
    assert search(connection, "mining seams") == before
    connection.commit()
    report = refresh(connection, WORDS)
    assert report.embedded == (101 - 64 if place == "embed" else 0)
    reconcile(connection, 200)


def test_postgres_that_dies_in_mid_run_leaves_nothing_half_indexed(connection, database_url):
    add(connection, some_texts(150, 8))
    refresh(connection, WORDS)
    add(connection, some_texts(150, 9))

    def cut(done, total):
        with connect(database_url, autocommit=True) as another:
            another.execute("select pg_terminate_backend(%s)", (connection.info.backend_pid,))

    with pytest.raises(Exception, match=r"terminat|closed|lost"):
        refresh(connection, WORDS, cut)
    with connect(database_url) as another:
        assert another.execute("select count(*) from evidence.passages").fetchone() == (150,)
        assert len(search(another, "mining seams")) == 10
        another.commit()
        refresh(another, WORDS)
        reconcile(another, 300)


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
