"""Rankings made one: near-duplicates out, ranks of the arms fused, documents spread. Pure: no database, no model.

Reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

# Of the ranks: docs/evidence.md says how it was chosen.
RANK_CONSTANT = 60


@dataclass(frozen=True)
class Candidate:
    """A passage that an arm found, and the arm's score."""

    passage_no: int
    chunk_id: str
    document_id: str
    duplicate_group: str
    content_sha256: str
    score: float
    has_vector: bool = True
    """Whether the arm `vector` could have found it; a fact sheet may wait for its vector."""


@dataclass
class Hit:
    """A passage with what each arm says of it; ranks count from 1, None: not found by the arm."""

    candidate: Candidate
    score: float = 0.0
    text_rank: int | None = None
    text_score: float | None = None
    vector_rank: int | None = None
    similarity: float | None = None


def distinct(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the candidates, best first, without those that repeat one before; equal scores in order of chunk_id."""
    kept = []
    seen: set[str] = set()
    for candidate in sorted(candidates, key=lambda found: (-found.score, found.chunk_id)):
        if candidate.duplicate_group not in seen and candidate.content_sha256 not in seen:
            kept.append(candidate)
        seen |= {candidate.duplicate_group, candidate.content_sha256}
    return kept


def fuse(arms: Mapping[str, Sequence[Candidate]], constant: int = RANK_CONSTANT) -> list[Hit]:
    """Return what the arms `text` and `vector` found, best first.

    Of one arm alone the score is its own (BM25, cosine similarity). Of both it is the sum of 1 / (constant + rank),
    as a share of what a passage gets that is first in both. Of a passage without a vector the rank by words counts for
    both: that it waits for its vector says nothing against it.
    """
    hits: dict[str, Hit] = {}
    for arm, candidates in arms.items():
        for rank, candidate in enumerate(candidates, start=1):
            hit = hits.get(candidate.duplicate_group) or hits.get(candidate.content_sha256) or Hit(candidate)
            hits[candidate.duplicate_group] = hits[candidate.content_sha256] = hit
            if arm == "text":
                hit.text_rank, hit.text_score = rank, candidate.score
            else:
                hit.vector_rank, hit.similarity = rank, candidate.score
            share = 1 / len(arms) if candidate.has_vector else 1
            hit.score += candidate.score if len(arms) == 1 else share * (constant + 1) / (constant + rank)
    unique = {id(hit): hit for hit in hits.values()}.values()
    return sorted(unique, key=lambda hit: (-hit.score, hit.candidate.chunk_id))


def spread(hits: Sequence[Hit], count: int, per_document: int | None) -> list[Hit]:
    """Return the first hits; more than `per_document` of a document come after those of the other documents.

    One that was put back has no higher score than what stands before it.
    """
    of_document: dict[str, int] = {}
    rounds = []
    for hit in hits:
        before = of_document.get(hit.candidate.document_id, 0)
        of_document[hit.candidate.document_id] = before + 1
        rounds.append(0 if per_document is None else before // per_document)
    chosen: list[Hit] = []
    for place in sorted(range(len(hits)), key=lambda place: (rounds[place], place))[:count]:
        score = min(hits[place].score, chosen[-1].score) if chosen else hits[place].score
        chosen.append(replace(hits[place], score=score))
    return chosen
