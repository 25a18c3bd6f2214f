"""Full text ranked by BM25, exactly, over the postings that `index` writes.

PostgreSQL stems the query and hands over each word's postings as bytes; numpy adds them up. Which of the passages may
be shown, and what they say, belongs in `retrieval`.

Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009; the inverse document frequency is
Lucene's, ln(1 + (N - n + 0.5) / (n + 0.5)), which is never negative.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import psycopg

from fvi_pipeline.evidence.lexical import CONFIGURATION, LexicalQuery

if TYPE_CHECKING:
    from numpy.typing import NDArray

K1 = 1.2
B = 0.75

_RECORD = np.dtype([("passage_no", ">i4"), ("occurrences", ">i2"), ("words", ">i2")])
_POSTINGS = """
with query as (
    select lexeme, sum(cardinality(positions)) as times
    from unnest(to_tsvector(%s::regconfig, %s)) group by lexeme
)
select p.lexeme, q.times, s.sign, p.passages, case when s.sign > 0 then p.records end
from query as q join evidence.postings as p using (lexeme) join evidence.segments as s using (segment_id)
order by p.lexeme, p.segment_id
"""


@dataclass(frozen=True)
class TextHits:
    """Passages that hold a word of the query, in order of their numbers. Some may have left since they were indexed."""

    passage_nos: "NDArray[np.int64]"
    scores: "NDArray[np.float64]"

    def best(self, count: int) -> "tuple[NDArray[np.int64], NDArray[np.float64]]":
        """Return numbers and scores of the best, at least `count` if there are as many, and all that equal the last."""
        chosen = slice(None)
        if count < len(self.scores):
            least = np.partition(self.scores, len(self.scores) - count)[len(self.scores) - count]
            chosen = self.scores >= least
        numbers, scores = self.passage_nos[chosen], self.scores[chosen]
        order = np.lexsort((numbers, -scores))
        return numbers[order], scores[order]

    def only(self, passage_nos: "NDArray[np.int64]") -> "TextHits":
        """Return those of the hits that are among the numbers given."""
        kept = np.isin(self.passage_nos, passage_nos)
        return TextHits(self.passage_nos[kept], self.scores[kept])


def search_words(connection: psycopg.Connection, query: LexicalQuery) -> TextHits:
    """Return all passages with a word of the query, and their BM25 scores."""
    sums = connection.execute(
        "select sum(sign * passages), sum(sign * words), (select max(passage_no) from evidence.passages) "
        "from evidence.segments"
    ).fetchone()
    if sums is None or not sums[0] or sums[2] is None:
        return TextHits(np.empty(0, np.int64), np.empty(0))
    passages, words, last = int(sums[0]), int(sums[1]), int(sums[2])
    mean = words / passages or 1.0
    rows = connection.execute(_POSTINGS, (CONFIGURATION, query.words), binary=True).fetchall()
    frequencies: dict[str, int] = {}
    for lexeme, _, sign, count, _ in rows:
        frequencies[lexeme] = frequencies.get(lexeme, 0) + sign * count
    held = [
        (float(times) * math.log(1 + (passages - frequencies[lexeme] + 0.5) / (frequencies[lexeme] + 0.5)), records)
        for lexeme, times, _, _, records in rows
        if records is not None
    ]
    if not held:
        return TextHits(np.empty(0, np.int64), np.empty(0))
    # in one pass over all words: a search by words runs beside the embedding of its query, on the same cores
    entries = np.frombuffer(b"".join(records for _, records in held), _RECORD)
    norm = entries["words"].astype(np.float64)
    norm *= K1 * B / mean
    norm += K1 * (1 - B)
    gained = entries["occurrences"].astype(np.float64)
    norm += gained
    gained /= norm
    lengths = [len(records) // _RECORD.itemsize for _, records in held]
    gained *= np.repeat([weight * (K1 + 1) for weight, _ in held], lengths)
    # numbers beyond the last are of passages that have left
    scores = np.asarray(np.bincount(entries["passage_no"].astype(np.int64), gained)[: last + 1], np.float64)
    found = np.flatnonzero(scores)
    return TextHits(found, scores[found])


def passages_with_phrases(connection: psycopg.Connection, query: LexicalQuery) -> "NDArray[np.int64] | None":
    """Return the numbers of the passages that hold each of the phrases; None when there are no phrases."""
    if not query.phrases:
        return None
    rows = connection.execute(
        """
        select passage_no from evidence.passages
        where lexemes @@ (
            select coalesce(string_agg('(' || part || ')', ' & '), '')::tsquery
            from unnest(%s::text[]) as phrase cross join lateral (
                select phraseto_tsquery(%s::regconfig, phrase)::text as part) as parts
            where part <> '')
        order by passage_no
        """,
        (list(query.phrases), CONFIGURATION),
    ).fetchall()
    return np.array([number for (number,) in rows], np.int64)
