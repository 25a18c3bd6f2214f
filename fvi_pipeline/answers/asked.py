"""What an evaluation question is, and what question sets are made with. The questions are in `questions_of_*`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, LiteralString

import psycopg
from psycopg.rows import dict_row

from fvi_pipeline.answers.words import tokens

QuestionKind = Literal["number", "why", "change", "list", "unanswerable"]
KINDS: tuple[QuestionKind, ...] = ("number", "why", "change", "list", "unanswerable")


@dataclass(frozen=True)
class Asked:
    """A question and what a right answer has."""

    kind: QuestionKind
    text: str
    mine_id: str | None = None
    """Given beside the question, which names no mine."""
    numbers: tuple[float, ...] = ()
    """Each must be in a sentence, rounded no more than it is written."""
    texts: tuple[str, ...] = ()
    mines: tuple[str, ...] = ()
    """Mines that must be cited; of a list no other may be."""
    status: tuple[str, ...] = ("answered",)
    like_names: bool = False
    about: str = ""


@dataclass
class Warehouse:
    """The warehouse as the truth is read from it; `names` counts the mines of each name."""

    connection: psycopg.Connection[Any]
    names: dict[str, int] = field(default_factory=dict)

    def rows(self, query: LiteralString, **parameters: Any) -> list[dict[str, Any]]:
        """The rows of a query."""
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, parameters or None).fetchall()


SCORED = """
select p.mine_id, p.mine_name, p.state_province, split_part(p.state_province, ' (', 1) as state, p.mine_county,
       p.operating_company, p.owners, p.reserves_mt, p.capacity_mt_per_year, p.opening_year, s.fvi_score, s.as_of_year
from silver.silver_mine_profiles as p
join mart.fvi_scores as s using (mine_id)
where s.horizon_years = 5 and s.as_of_year = (select max(as_of_year) from mart.fvi_scores)
    and p.mine_name ~ '[A-Za-z]{4}' and p.mine_name !~ '[/#&]'
order by md5(p.mine_id)
"""
METRICS = """
select as_of_year, sum(production_short_tons) as production, sum(average_employees) as employees,
       sum(labor_hours) as hours
from silver.silver_mine_metrics where mine_id = %(mine_id)s group by as_of_year order by as_of_year desc
"""
SCORE = """
select fvi_score, interval_low, interval_high from mart.fvi_scores
where mine_id = %(mine_id)s and horizon_years = %(horizon)s
    and as_of_year = (select max(as_of_year) from mart.fvi_scores)
"""


def key_of(name: str) -> str:
    """What mines of like names share."""
    return " ".join(word for word in tokens(name) if word not in ("mine", "coal", "the"))


def plain_name(name: str) -> bool:
    """A name that nobody would take for a number or a place."""
    words = key_of(name).split()
    return bool(words) and all(not word[0].isdigit() for word in words) and len(key_of(name)) > 4 and len(words) < 5


def with_mine(name: str) -> str:
    """A name as people say it."""
    return name if re.search(r"\bmines?\b", name, re.IGNORECASE) else f"{name} mine"
