"""What searches read, kept in step with silver.silver_document_content: passages, their words and their vectors.

`refresh` does all of it and is safe to be killed: vectors are stored as they come, where no search sees them, and what
searches see changes in one transaction at the end. How it is read belongs in `bm25` and `retrieval`.
"""

from dataclasses import dataclass

import psycopg

from fvi_pipeline.evidence.chunking import text_sha256
from fvi_pipeline.evidence.embedding import Embedder, embedding_text
from fvi_pipeline.evidence.lexical import CONFIGURATION, passage_text, told_title
from fvi_pipeline.evidence.vectors import (
    EmbeddingModel,
    Progress,
    current_model,
    embed_missing,
    embedded_digests,
    ensure_model,
    index_vectors,
    make_current,
)
from fvi_pipeline.platform.database import advisory_lock

LOCK = "fvi.evidence_index"
# A search reads a word's postings in every segment; and what has left still takes room in them.
MAXIMUM_SEGMENTS = 12
MAXIMUM_DEAD_SHARE = 0.25

_FACTS = (
    "document_id, position, title, section, source, kind, url, text, content_sha256, language, document_date, licence, "
    "mine_ids, known_at, duplicate_group"
)
# Of these follows what is embedded and indexed; the others of _FACTS may change without either.
_TEXTS = "source, kind, title, section, text"
_WITHOUT_VECTOR = (
    "not exists (select from evidence.chunk_embeddings as e "
    "where e.model_id = %s and e.embedded_sha256 = p.embedded_sha256)"
)


@dataclass(frozen=True)
class Refreshed:
    """What one refresh did."""

    added: int
    removed: int
    changed: int
    """Passages whose facts changed and whose text did not."""
    embedded: int
    waiting: int
    """Texts that have no vector yet, since a limit was given; full text finds them."""
    model_name: str


def refresh(
    connection: psycopg.Connection,
    embedder: Embedder,
    progress: Progress | None = None,
    *,
    limit: int | None = None,
) -> Refreshed:
    """Bring what searches read up to date with silver; a second call has nothing to do.

    `limit` bounds how many fact sheets are embedded in this call, those of scored mines first; a model that takes the
    place of another is embedded whole, beside it. `progress` is called with (texts embedded, texts to embed).
    """
    connection.commit()
    with advisory_lock(connection, LOCK):
        connection.commit()
        model = ensure_model(connection, embedder)
        new = _new_chunks(connection)
        # a model that takes the place of another must find at once all that the other finds
        replaces = current_model(connection) not in (None, model)
        missing = _missing_texts(connection, model, new, None if replaces else limit)
        embedded = embed_missing(connection, embedder, model, missing, progress)
        index_vectors(connection, model)
        with connection.transaction():
            added, removed, changed = _publish(connection, new)
            if removed:
                _drop_unused_vectors(connection, model.model_id)
            waiting = _count(
                connection,
                f"select count(distinct embedded_sha256) from evidence.passages as p where {_WITHOUT_VECTOR}",  # noqa: S608
                (model.model_id,),
            )
            make_current(connection, model)
        connection.commit()
    if added or removed or embedded:
        _analyze(connection)
    return Refreshed(added, removed, changed, embedded, waiting, model.model_name)


@dataclass(frozen=True)
class _Chunk:
    chunk_id: str
    embedded_sha256: str
    embedded_text: str
    lexical_text: str
    order: int
    """Of embedding: 0 what is no fact sheet, 1 sheets of scored mines, 2 the other sheets."""


def _chunks(connection: psycopg.Connection, query: str, parameters: tuple[object, ...] = ()) -> list[_Chunk]:
    """Return the chunks of a query for chunk_id, first mine and _TEXTS."""
    scored = {
        mine_id
        for (mine_id,) in connection.execute("select distinct mine_id from mart.fvi_scores where fvi_score is not null")
    }
    chunks = []
    for chunk_id, mine_id, source, kind, title, section, text in connection.execute(query.encode(), parameters):
        title = told_title(title, source)
        embedded = embedding_text(title, section, text, kind)
        order = 0 if kind != "fact_sheet" else 1 if mine_id in scored else 2
        words = passage_text(title, section, text)
        chunks.append(_Chunk(chunk_id, text_sha256(embedded), embedded, words, order))
    connection.commit()
    return chunks


def _new_chunks(connection: psycopg.Connection) -> list[_Chunk]:
    """Return the chunks of silver that are not among the passages with just this text and these headings."""
    return _chunks(
        connection,
        f"""
        select chunk_id, mine_ids[1], {_TEXTS} from silver.silver_document_content
        where chunk_id in (select chunk_id from (
            select chunk_id, {_TEXTS} from silver.silver_document_content
            except select chunk_id, {_TEXTS} from evidence.passages) as changed)
        """,  # noqa: S608 (names of columns)
    )


def _missing_texts(
    connection: psycopg.Connection, model: EmbeddingModel, new: list[_Chunk], limit: int | None
) -> list[tuple[str, str]]:
    """Return (digest, text) of what has no vector of the model yet; of fact sheets no more than `limit`."""
    published = _chunks(
        connection,
        f"select chunk_id, mine_ids[1], {_TEXTS} from evidence.passages as p where {_WITHOUT_VECTOR}",  # noqa: S608
        (model.model_id,),
    )
    present = embedded_digests(connection, model)
    missing: dict[str, _Chunk] = {}
    for chunk in sorted([*published, *new], key=lambda chunk: (chunk.order, chunk.chunk_id)):
        if chunk.embedded_sha256 not in present:
            missing.setdefault(chunk.embedded_sha256, chunk)
    sheets = [chunk for chunk in missing.values() if chunk.order > 0]
    wanted = [chunk for chunk in missing.values() if chunk.order == 0] + sheets[:limit]
    return [(chunk.embedded_sha256, chunk.embedded_text) for chunk in wanted]


def _publish(connection: psycopg.Connection, new: list[_Chunk]) -> tuple[int, int, int]:
    """Make evidence.passages what silver is, and the postings with it; return the rows added, removed and changed.

    Silver may have moved on since `new` was read: a chunk that came since waits for the next refresh.
    """
    connection.execute(
        "create temp table staged (chunk_id text, embedded_sha256 text, lexical_text text) on commit drop"
    )
    with connection.cursor() as cursor, cursor.copy("copy staged from stdin") as copy:
        for chunk in new:
            copy.write_row((chunk.chunk_id, chunk.embedded_sha256, chunk.lexical_text))
    # Silver is a view over links and groups: read once.
    connection.execute("create temp table present on commit drop as select * from silver.silver_document_content")
    connection.execute("create index on present (chunk_id)")
    connection.execute("analyze present")
    connection.execute("create temp table gone (passage_no int primary key) on commit drop")
    removed = connection.execute(
        """
        insert into gone
        select p.passage_no from evidence.passages as p left join present as c using (chunk_id)
        where c.chunk_id is null or (c.source, c.kind, c.title, c.section, c.text)
            is distinct from (p.source, p.kind, p.title, p.section, p.text)
        """
    ).rowcount
    if removed:
        _add_segment(connection, -1, "passage_no in (select passage_no from gone)")
        connection.execute("delete from evidence.passages where passage_no in (select passage_no from gone)")
    first = _count(connection, "select coalesce(max(passage_no), 0) from evidence.passages")
    added = connection.execute(
        f"""
        insert into evidence.passages (chunk_id, {_FACTS}, embedded_sha256, lexemes, words)
        select chunk_id, {_FACTS}, embedded_sha256, lexemes,
            (select coalesce(sum(cardinality(positions)), 0) from unnest(lexemes))
        from (
            select c.*, s.embedded_sha256, to_tsvector(%s::regconfig, s.lexical_text) as lexemes
            from staged as s join present as c using (chunk_id)
            where not exists (select from evidence.passages as p where p.chunk_id = c.chunk_id)
            order by c.chunk_id
        ) as fresh
        """,  # noqa: S608 (names of columns)
        (CONFIGURATION,),
    ).rowcount
    facts = _FACTS.split(", ")
    theirs, ours = (", ".join(f"{table}.{name}" for name in facts) for table in ("c", "p"))
    changed = connection.execute(
        f"""
        update evidence.passages as p set {", ".join(f"{name} = c.{name}" for name in facts)}
        from present as c
        where c.chunk_id = p.chunk_id
            and ({theirs}) is distinct from ({ours})
        """.encode()  # noqa: S608 (names of columns)
    ).rowcount
    if added:
        _add_segment(connection, 1, f"passage_no > {first}")
    _merge_segments(connection)
    return added, removed, changed


def _add_segment(connection: psycopg.Connection, sign: int, condition: str) -> None:
    row = connection.execute(
        f"""
        insert into evidence.segments (sign, passages, words)
        select %s, count(*), coalesce(sum(words), 0) from evidence.passages where {condition}
        returning segment_id
        """,  # noqa: S608 (a condition of this module)
        (sign,),
    ).fetchone()
    connection.execute(
        f"""
        insert into evidence.postings (lexeme, segment_id, passages, records)
        select lexeme, %s, count(*), string_agg(
            int4send(passage_no) || int2send(cardinality(positions)::int2) || int2send(least(words, 32767)::int2),
            ''::bytea order by passage_no)
        from evidence.passages cross join lateral unnest(lexemes)
        where {condition}
        group by lexeme
        """,  # noqa: S608 (a condition of this module)
        row,
    )


def _merge_segments(connection: psycopg.Connection) -> None:
    """Make one segment of all when they are many, or hold much that has left."""
    row = connection.execute(
        "select count(*), coalesce(sum(passages) filter (where sign < 0), 0), coalesce(sum(passages), 0) "
        "from evidence.segments"
    ).fetchone()
    count, dead, written = row if row else (0, 0, 0)
    if count > MAXIMUM_SEGMENTS or dead > MAXIMUM_DEAD_SHARE * (written - dead):
        # not truncated: that would stop every search until the transaction is over
        connection.execute("delete from evidence.postings")
        connection.execute("delete from evidence.segments")
        _add_segment(connection, 1, "true")


def _drop_unused_vectors(connection: psycopg.Connection, model_id: int) -> None:
    connection.execute(
        """
        delete from evidence.chunk_embeddings as e where model_id = %s and not exists
            (select from evidence.passages as p where p.embedded_sha256 = e.embedded_sha256)
        """,
        (model_id,),
    )


def _analyze(connection: psycopg.Connection) -> None:
    """Tell the planner at once how many there are: the server's own turn comes minutes later."""
    for table in ("passages", "postings", "chunk_embeddings"):
        connection.execute(f"analyze evidence.{table}")
    connection.commit()


def _count(connection: psycopg.Connection, query: str, parameters: tuple[object, ...] = ()) -> int:
    row = connection.execute(query.encode(), parameters).fetchone()
    return int(row[0]) if row else 0
