"""Which facts answer a question: calls of tools with their arguments. Reading questions belongs to `questions`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from fvi_pipeline.answers.facts_mines import ATTRIBUTES
from fvi_pipeline.answers.questions import OF_MANY, Question, horizon_of
from fvi_pipeline.answers.words import plain

_BY_YEAR = frozenset({"production", "average_employees", "labor_hours", "productivity"})
_BY_HORIZON = frozenset({"score", "interval", "reasons", "peers"})
_FROM_TO = re.compile(r"\d{4}\s*(?:to|until|till|through|-|\u2013)\s*\d{4}|between \d{4} and \d{4}")
MAXIMUM_CALLS = 24
_METRIC = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b")
_EMPLOYMENT = re.compile(r"\b(?:employ\w*|jobs|workers|workforce|headcount|miners|people|staff)\b")
_PASSAGES_WITH = frozenset({"why", "change", "overview"})


@dataclass(frozen=True)
class Call:
    """One tool with its arguments. `optional`: the answer stands without it."""

    tool: str
    arguments: dict[str, Any] = field(default_factory=dict)
    optional: bool = False


def wants_passages(question: Question) -> bool:
    """Whether texts may add to the answer, or are all that can answer."""
    return question.kind in _PASSAGES_WITH or question.kind == "text" or bool(question.unexplained)


def calls(question: Question, as_of_year: int | None = None) -> list[Call]:
    """The calls that answer a question, in the order of its sentences; none if only passages can."""
    if question.quantity is None and question.kind != "overview":
        return []
    if question.kind == "model":
        return _of_the_model(question)
    if question.kind == "list" or question.quantity in OF_MANY:
        return _of_many(question)
    if not question.mines and (question.company or question.place):
        return _of_a_place(question)
    found: list[Call] = []
    for mine in question.mines:
        for asked in _each(question):
            found += _of_a_mine(asked, mine.mine_id, as_of_year)
    return [call for number, call in enumerate(found) if call not in found[:number]][:MAXIMUM_CALLS]


def _each(question: Question) -> list[Question]:
    """A question after several quantities, horizons or years as one question after each."""
    several = [replace(question, quantity=name, kind="number") for name in question.quantities] or [question]
    found = []
    for asked in several:
        if asked.quantity in _BY_HORIZON and len(asked.horizons) > 1:
            found += [replace(asked, horizon_years=horizon) for horizon in asked.horizons]
        elif asked.quantity in _BY_YEAR and len(asked.years) > 1:
            found += [replace(asked, years=(year,)) for year in _span(asked)]
        else:
            found.append(asked)
    return found


def _span(question: Question) -> tuple[int, ...]:
    """The years that are asked for: from the first to the last of "from 2010 to 2015", else those that are named."""
    first, last = min(question.years), max(question.years)
    whole = len(question.years) == 2 and _FROM_TO.search(plain(question.text))
    return tuple(range(first, last + 1)) if whole else question.years


def _of_a_mine(question: Question, mine_id: str, as_of_year: int | None) -> list[Call]:
    mine: dict[str, Any] = {"mine_id": mine_id}
    at = mine | {"horizon_years": horizon_of(question)}
    quantity = question.quantity
    if question.kind == "overview":
        return [
            Call("profile", mine | {"attribute": "place"}),
            *(Call("profile", mine | {"attribute": name}, optional=True) for name in ("status", "owner")),
            Call("production", mine | _year(question), optional=True),
            Call("scores", at, optional=True),
        ]
    if quantity == "reasons":
        return [Call("scores", at), Call("reasons", at), Call("peers", at, optional=True)]
    if quantity == "change":
        later = [year for year in question.years if year != question.since_year]
        span = {"year": later[-1]} if later else {}
        if question.since_year is not None:
            span["since_year"] = question.since_year
        return [
            Call("changes", mine | span),
            Call("score_history", at, optional=True),
        ]
    if quantity in ("score", "interval"):
        asked_all = question.horizon_years is None and "scores" in plain(question.text)
        return [Call("scores", mine if asked_all else at)]
    if quantity == "peers":
        return [Call("scores", at), Call("peers", at)]
    if quantity in _BY_YEAR:
        future = as_of_year is not None and question.years and question.years[0] > as_of_year
        if quantity == "production" and (future or question.horizon_years == 1):
            return [Call("production_forecast", mine)]
        arguments = mine | _year(question)
        if quantity == "production":
            return [Call("production", arguments)]
        return [Call("workforce", arguments | {"measure": quantity})]
    if quantity == "production_history":
        span = {"first_year": min(question.years), "last_year": max(question.years)} if len(question.years) > 1 else {}
        return [Call("production_history", mine | span)]
    if quantity in ATTRIBUTES:
        return [Call("profile", mine | {"attribute": quantity})]
    return [Call(str(quantity), mine)]


def _of_a_place(question: Question) -> list[Call]:
    """What is known of the mines of a place or a company together: production and employment, by year."""
    said = plain(question.text)
    if question.quantity not in ("production", "average_employees", "change"):
        return []
    tool = "total_employees" if _EMPLOYMENT.search(said) else "total_production"
    years: tuple[int | None, ...] = question.years or (None,)
    if question.quantity == "change" and len(question.years) < 2:
        if question.since_year is None and len(question.years) != 1:
            return []
        years = (question.years[0], None)
    return [
        Call(tool, where | ({} if year is None else {"year": year})) for where in _wheres(question) for year in years
    ]


def _of_many(question: Question) -> list[Call]:
    if question.quantity == "total_production":
        return [Call("total_production", where | _year(question)) for where in _wheres(question)]
    if question.quantity == "score_summary":
        at = {"horizon_years": horizon_of(question)}
        return [Call("score_summary", where | at) for where in _wheres(question)]
    if question.kind == "list" and question.years:
        limit = {"limit": question.limit} if question.limit else {}
        mine_type = {"mine_type": question.mine_type} if question.mine_type else {}
        return [Call("largest_producers", where | mine_type | limit | _year(question)) for where in _wheres(question)]
    return [_list(question, where) for where in _wheres(question)]


def _list(question: Question, arguments: dict[str, Any]) -> Call:
    if question.status:
        arguments["status"] = question.status
    if question.mine_type:
        arguments["mine_type"] = question.mine_type
    if question.quantity == "count":
        return Call("list_mines", arguments | {"limit": 1})
    if question.order:
        arguments["order"] = question.order
        if question.order.endswith("_score"):
            arguments["horizon_years"] = horizon_of(question)
            arguments.pop("status", None)
    if question.limit:
        arguments["limit"] = question.limit
    return Call("list_mines", arguments)


def _of_the_model(question: Question) -> list[Call]:
    said = plain(question.text)
    model = "fvi_viability"
    if "production model" in said or "fvi_production" in said:
        model = "fvi_production"
    elif "status model" in said or "fvi_next_status" in said:
        model = "fvi_next_status"
    if question.quantity in ("champion", "promotions"):
        return [Call(question.quantity, {"model": model})]
    if question.quantity == "weights":
        metrics = _METRIC.findall(question.text)
        return [Call("weights", {"metric": name}) for name in metrics] or [
            Call("weights", {"limit": question.limit or 5})
        ]
    return [Call(str(question.quantity))]


def _wheres(question: Question) -> list[dict[str, Any]]:
    """The place and the company as arguments; of several states each for itself."""
    place = question.place
    named = {"country": place.country, "state": place.state, "county": place.county, "company": question.company}
    where = {name: value for name, value in named.items() if value}
    states = dict.fromkeys(state for state, _ in place.states)
    return [where | {"state": state} for state in states] if len(states) > 1 else [where]


def _year(question: Question) -> dict[str, int]:
    return {"year": question.years[0]} if question.years else {}
