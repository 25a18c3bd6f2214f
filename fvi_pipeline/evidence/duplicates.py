"""Near-duplicates among chunks: which chunks say the same in almost the same words.

MinHash with locality-sensitive hashing finds candidates, the words themselves decide: two chunks are near-duplicates if
the sets of their runs of three words have a Jaccard similarity of SIMILARITY or more. Each chunk belongs to the first
chunk like it; what a reader is shown of a group belongs in `retrieval`.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIMILARITY = 0.8
BANDS, ROWS = 25, 5
"""A pair at SIMILARITY shares a band with probability 1 - (1 - 0.8^5)^25 = 0.99995."""
_RUN = 3
_SEED = 7
_KINDS = ["file", "note", "wiki"]
"""What is generated from a template is alike by its making: two fact sheets differ in what matters, the figures."""
_WORD = re.compile(r"\w+")
_BATCH = 2_000


def shingles(text: str) -> frozenset[str]:
    """Return the runs of three words of a text, whatever its case and punctuation; a shorter text is one run."""
    words = _WORD.findall(text.casefold())
    return frozenset(" ".join(words[start : start + _RUN]) for start in range(max(1, len(words) - _RUN + 1)))


def similarity(first: frozenset[str], second: frozenset[str]) -> float:
    """Return the Jaccard similarity of two sets of runs, 0 to 1."""
    return len(first & second) / (len(first | second) or 1)


def bands_of(sets: Sequence[frozenset[str]]) -> list[list[int]]:
    """Return for each set its BANDS locality-sensitive hashes, 64 bits each and no two bands' alike."""
    from datasketch import MinHash
    from datasketch.hashfunc import sha1_hash32

    signatures = MinHash.bulk(
        ([run.encode() for run in sorted(runs)] for runs in sets),
        num_perm=BANDS * ROWS,
        seed=_SEED,
        hashfunc=sha1_hash32,
    )
    return [_bands(signature.hashvalues) for signature in signatures]


def _bands(values: "NDArray[np.generic]") -> list[int]:
    import hashlib

    rows = values.reshape(BANDS, ROWS)
    return [
        int.from_bytes(hashlib.blake2b(bytes([band]) + rows[band].tobytes(), digest_size=8).digest(), signed=True)
        for band in range(BANDS)
    ]


def mark_duplicates(connection: psycopg.Connection) -> int:
    """Give every chunk without a duplicate_group its group; return how many were looked at.

    A chunk whose group lost its first chunk gets another one. One transaction for each batch: after a kill, the next
    call goes on. What has a group is not looked at again.
    """
    connection.commit()
    with connection.transaction():
        connection.execute(
            """
            UPDATE landing.document_chunks AS c SET duplicate_group = c.chunk_id
            FROM landing.documents AS d
            WHERE d.document_id = c.document_id AND c.duplicate_group IS NULL AND d.kind <> ALL (%s)
            """,
            (_KINDS,),
        )
        connection.execute(
            """
            UPDATE landing.document_chunks AS c SET duplicate_group = NULL
            WHERE c.duplicate_group <> c.chunk_id
              AND NOT EXISTS (SELECT FROM landing.document_chunks AS f WHERE f.chunk_id = c.duplicate_group)
            """
        )
    marked = 0
    while True:
        with connection.transaction():
            rows = connection.execute(
                """
                SELECT c.chunk_id, c.text
                FROM landing.document_chunks AS c JOIN landing.documents AS d USING (document_id)
                WHERE c.duplicate_group IS NULL
                ORDER BY d.known_at, d.document_id, c.position LIMIT %s
                """,
                (_BATCH,),
            ).fetchall()
            if rows:
                _mark(connection, rows)
        if not rows:
            return marked
        marked += len(rows)


def _mark(connection: psycopg.Connection, rows: list[tuple[str, str]]) -> None:
    runs = {chunk_id: shingles(text) for chunk_id, text in rows}
    bands = dict(zip(runs, bands_of(list(runs.values())), strict=True))
    candidates = _stored_candidates(connection, bands)
    runs_of_leaders = _runs_of(connection, {leader for leaders in candidates.values() for leader in leaders})
    by_band: dict[int, list[str]] = defaultdict(list)
    groups: dict[str, str] = {}
    for chunk_id, _ in rows:
        leader = _leader(runs[chunk_id], candidates[chunk_id], runs_of_leaders)
        if leader is None:
            # in the order of the batch, each once
            new = dict.fromkeys(other for band in bands[chunk_id] for other in by_band[band])
            leader = _leader(runs[chunk_id], new, runs)
        groups[chunk_id] = leader or chunk_id
        if leader is None:
            for band in bands[chunk_id]:
                by_band[band].append(chunk_id)
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE landing.document_chunks SET duplicate_group = %s WHERE chunk_id = %s",
            [(group, chunk_id) for chunk_id, group in groups.items()],
        )
        cursor.executemany(
            "INSERT INTO evidence.duplicate_leaders (chunk_id, bands) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [(chunk_id, bands[chunk_id]) for chunk_id, group in groups.items() if group == chunk_id],
        )


def _leader(mine: frozenset[str], leaders: Iterable[str], runs: dict[str, frozenset[str]]) -> str | None:
    """The most similar of the leaders, the first of equals; None if none is similar enough."""
    best, leader = SIMILARITY, None
    for candidate in leaders:
        alike = similarity(mine, runs[candidate])
        if alike > best or (alike == best and leader is None):
            best, leader = alike, candidate
    return leader


def _stored_candidates(connection: psycopg.Connection, bands: dict[str, list[int]]) -> dict[str, list[str]]:
    candidates: dict[str, list[str]] = {chunk_id: [] for chunk_id in bands}
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE new_bands (chunk_id text, bands bigint[]) ON COMMIT DROP")
        with cursor.copy("COPY new_bands FROM STDIN") as copy:
            for chunk_id, hashes in bands.items():
                copy.write_row((chunk_id, hashes))
        found = cursor.execute(
            """
            SELECT n.chunk_id, l.chunk_id FROM new_bands AS n
            JOIN evidence.duplicate_leaders AS l ON l.bands && n.bands
            ORDER BY n.chunk_id, l.chunk_id
            """
        ).fetchall()
        cursor.execute("DROP TABLE new_bands")
    for chunk_id, leader in found:
        candidates[chunk_id].append(leader)
    return candidates


def _runs_of(connection: psycopg.Connection, chunk_ids: set[str]) -> dict[str, frozenset[str]]:
    rows = connection.execute(
        "SELECT chunk_id, text FROM landing.document_chunks WHERE chunk_id = ANY (%s)", (sorted(chunk_ids),)
    ).fetchall()
    return {chunk_id: shingles(text) for chunk_id, text in rows}
