"""What an answer rests on: facts of the marts and passages of documents, each with its place and time.

Reading facts belongs to `facts_*`; what an answer says about them belongs to `extractive` and `generator`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

Number = int | float


@dataclass(frozen=True)
class Value:
    """One value of a fact: a number with its unit, or a text."""

    name: str
    value: Number | str | None
    unit: str = ""
    """`points`, `short tons`, `people`, `hours`, `year`, `share` (0 to 1), `percent`, `million tonnes`
        …; "" for texts."""


@dataclass(frozen=True)
class Fact:
    """One row of the warehouse as a sentence; `table` and `key` find it again."""

    sentence: str
    table: str
    key: Mapping[str, Any]
    values: tuple[Value, ...] = ()
    as_of_year: int | None = None
    known_at: datetime | None = None
    mine_id: str | None = None
    trace: str | None = None
    """The command that leads on to files and rows, where there is one."""

    def as_json(self, reference: str) -> dict[str, Any]:
        """The citation of this fact."""
        return {
            "id": reference,
            "type": "fact",
            "table": self.table,
            "key": dict(self.key),
            "values": [{"name": v.name, "value": v.value, "unit": v.unit} for v in self.values],
            "as_of_year": self.as_of_year,
            "known_at": None if self.known_at is None else self.known_at.isoformat(),
            "mine_id": self.mine_id,
            "trace": self.trace,
            "sentence": self.sentence,
        }


@dataclass(frozen=True)
class Passage:
    """A passage of a document: data, whatever it says."""

    chunk_id: str
    document_id: str
    text: str
    source: str
    score: float
    title: str | None = None
    known_at: datetime | None = None
    mine_ids: tuple[str, ...] = ()
    kind: str = "file"
    url: str | None = None
    licence: str | None = None

    def as_json(self, reference: str, quote: str | None = None) -> dict[str, Any]:
        """The citation of this passage; `quote` is what was taken from it."""
        return {
            "id": reference,
            "type": "passage",
            "chunk_id": self.chunk_id,
            "document_id": self.document_id,
            "source": self.source,
            "title": self.title,
            "kind": self.kind,
            "url": self.url,
            "licence": self.licence,
            "known_at": None if self.known_at is None else self.known_at.isoformat(),
            "mine_ids": list(self.mine_ids),
            "score": round(self.score, 4),
            "quote": quote,
        }


class Passages(Protocol):
    """Whoever finds passages."""

    def search(
        self, query: str, k: int, mine_id: str | None = None, having: frozenset[str] = frozenset()
    ) -> Sequence[Passage]:
        """The k passages that answer the query best, of the mine if one is named; raises PassagesUnavailableError.

        With `having` only such passages whose text and title have words of all these beginnings: where nothing else
        could be quoted, they are found without embedding the query.
        """


class PassagesUnavailableError(Exception):
    """The store of passages does not answer; answers go on without passages, and say so."""


@dataclass
class Citations:
    """The facts and passages that an answer cites, numbered in the order of their first use: F1, F2, P1 …"""

    facts: list[Fact] = field(default_factory=list)
    passages: list[Passage] = field(default_factory=list)
    _quotes: dict[str, list[str]] = field(default_factory=dict)

    def of_fact(self, fact: Fact) -> str:
        """The reference of a fact, the same one for the same fact."""
        for number, known in enumerate(self.facts, start=1):
            if known.table == fact.table and known.key == fact.key and known.sentence == fact.sentence:
                return f"F{number}"
        self.facts.append(fact)
        return f"F{len(self.facts)}"

    def of_passage(self, passage: Passage, quote: str | None = None) -> str:
        """The reference of a passage; a quote is kept beside it."""
        for number, known in enumerate(self.passages, start=1):
            if known.chunk_id == passage.chunk_id:
                reference = f"P{number}"
                break
        else:
            self.passages.append(passage)
            reference = f"P{len(self.passages)}"
        if quote is not None and quote not in self._quotes.setdefault(reference, []):
            self._quotes[reference].append(quote)
        return reference

    def find(self, reference: str) -> Fact | Passage | None:
        """What a reference leads to; None for one that was never given."""
        kind, digits = reference[:1].upper(), reference[1:]
        kept: Sequence[Fact | Passage] = self.facts if kind == "F" else self.passages if kind == "P" else ()
        number = int(digits) if digits.isascii() and digits.isdigit() else 0
        return kept[number - 1] if 0 < number <= len(kept) else None

    def as_json(self, references: Sequence[str]) -> list[dict[str, Any]]:
        """The citations of these references, in their order."""
        found = []
        for reference in dict.fromkeys(references):
            cited = self.find(reference)
            if isinstance(cited, Fact):
                found.append(cited.as_json(reference))
            elif isinstance(cited, Passage):
                found.append(cited.as_json(reference, " … ".join(self._quotes.get(reference, [])) or None))
        return found
