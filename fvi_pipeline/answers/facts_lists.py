"""Many mines at once, as facts: lists by place, owner, operator and status, counts and totals, the first and the last.

Every query is bound and bounded. Facts of one mine belong to `facts_mines` and `facts_scores`.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from fvi_pipeline.answers.fact import Fact, Value
from fvi_pipeline.answers.marts import HORIZONS, Marts, NoSuchFactError, integer, label_of, place_of, points

Status = Literal["operating", "closed", "proposed", "mothballed", "scored"]
Order = Literal["production", "highest_score", "lowest_score", "employees", "name"]
MAXIMUM_LISTED = 50
DEFAULT_LISTED = 10

_CONDITIONS = """
    (%(country)s::text is null or lower(p.country) = lower(%(country)s))
    and (%(state)s::text is null or lower(p.state_province) = lower(%(state)s)
         or lower(p.state_province) like lower(%(state)s) || ' (%%')
    and (%(county)s::text is null or lower(p.mine_county) = lower(%(county)s))
    and (%(mine_type)s::text is null or lower(p.mine_type) = lower(%(mine_type)s))
    and (%(company)s::text is null or p.operating_company ~* %(company)s or p.owners ~* %(company)s
         or p.parent_company ~* %(company)s)
    and case %(status)s::text
        -- a panel that does not list a mine any more has no later word on it than the year in which it was active
        when 'operating' then p.mine_status = 'Operating' or (
            p.mine_status = 'Active'
            and p.panel_as_of_year = (select max(panel_as_of_year) from silver.silver_mine_profiles)
        )
        when 'closed' then p.mine_status in ('Closed', 'Permanently abandoned', 'Mine closed by MSHA')
        when 'proposed' then p.mine_status in ('Proposed', 'New, under construction')
        when 'mothballed' then p.mine_status = 'Mothballed' or (
            p.mine_status = 'Temporarily closed'
            and p.panel_as_of_year = (select max(panel_as_of_year) from silver.silver_mine_profiles)
        )
        when 'scored' then s.fvi_score is not null
        else true end
"""
_FROM = """
from silver.silver_mine_profiles as p
left join mart.fvi_scores as s on s.mine_id = p.mine_id and s.horizon_years = %(horizon)s
    and s.as_of_year = (select max(as_of_year) from mart.fvi_scores)
"""
_ORDERS: dict[str, str] = {
    "production": "p.panel_production_short_tons desc nulls last, p.production_mt_per_year desc nulls last, p.mine_id",
    "highest_score": "s.fvi_score desc nulls last, p.mine_id",
    "lowest_score": "s.fvi_score asc nulls last, p.mine_id",
    "employees": "p.workforce_size desc nulls last, p.mine_id",
    "name": "p.mine_name, p.mine_id",
}


def company_pattern(company: str) -> str | None:
    """A pattern that finds a company by its words, whatever stands between or after them; None without a word."""
    words = re.findall(r"[^\W_]+", company)
    return r"\m" + r"\W+".join(map(re.escape, words)) if words else None


def list_mines(
    marts: Marts,
    country: str | None = None,
    state: str | None = None,
    county: str | None = None,
    company: str | None = None,
    status: Status | None = None,
    mine_type: str | None = None,
    order: Order = "production",
    horizon_years: int = 5,
    limit: int = DEFAULT_LISTED,
) -> list[Fact]:
    """Mines by place, company (operator, owner or parent), status and type: how many there are, and the first
    of them."""
    if horizon_years not in HORIZONS:
        raise NoSuchFactError(f"There are scores at {', '.join(map(str, HORIZONS))} years, not at {horizon_years}.")
    if order.endswith("_score") and status is None:
        status = "scored"
    asked = {
        "country": country,
        "state": state,
        "county": county,
        "company": company_pattern(company) if company else None,
        "status": status,
        "mine_type": mine_type,
        "horizon": horizon_years,
    }
    found = marts.row(f"select count(*) as mines, max(p.known_at) as known_at {_FROM} where {_CONDITIONS}", asked)
    mines = found["mines"] if found else 0
    described = _described(country, state, county, company, status, mine_type)
    key: dict[str, Any] = {
        name: value for name, value in asked.items() if value is not None and name not in ("horizon", "company")
    }
    if company:
        key["company"] = company
    if mines == 0:
        raise NoSuchFactError(f"There are no {described} in the data.")
    facts = [
        Fact(
            f"The data has {integer(mines)} {described}." if mines != 1 else f"The data has one mine: {described}.",
            "silver.silver_mine_profiles",
            key,
            (Value("mines", mines, "mines"),),
            None,
            found["known_at"] if found else None,
        )
    ]
    rows = marts.rows(
        f"select p.*, s.fvi_score, s.as_of_year as score_year, s.scored_at {_FROM} where {_CONDITIONS} "
        f"order by {_ORDERS[order]} limit %(limit)s",
        {**asked, "limit": max(1, min(limit, MAXIMUM_LISTED))},
    )
    return [*facts, *(_listed(row, horizon_years) for row in rows)]


def _described(
    country: str | None,
    state: str | None,
    county: str | None,
    company: str | None,
    status: str | None,
    mine_type: str | None,
) -> str:
    kind = {
        "operating": "operating ",
        "closed": "closed ",
        "proposed": "proposed ",
        "mothballed": "mothballed ",
        "scored": "scored ",
    }.get(status or "", "")
    places = [f"{county} County" if county else None, state, country]
    where = ", ".join(place for place in places if place)
    text = f"{kind}{mine_type.lower() + ' ' if mine_type else ''}mines"
    return f"{text}{f' of {company}' if company else ''}{f' in {where}' if where else ''}"


def _listed(row: dict[str, Any], horizon_years: int) -> Fact:
    told = [place_of(row)]
    values: list[Value] = []
    if row["mine_status"]:
        told.append(str(row["mine_status"]).lower())
    if row["operating_company"] or row["owners"]:
        told.append(f"operator {row['operating_company']}" if row["operating_company"] else f"owner {row['owners']}")
    if row["panel_production_short_tons"] is not None:
        told.append(f"{integer(row['panel_production_short_tons'])} short tons in {row['panel_as_of_year']}")
        values += [
            Value("production_short_tons", row["panel_production_short_tons"], "short tons"),
            Value("year", row["panel_as_of_year"], "year"),
        ]
    elif row["production_mt_per_year"] is not None:
        told.append(f"{row['production_mt_per_year']:,.10g} million tonnes a year")
        values.append(Value("production_mt_per_year", row["production_mt_per_year"], "million tonnes"))
    if row["fvi_score"] is not None:
        told.append(f"score {points(row['fvi_score'])} at {horizon_years} years")
        values += [Value("fvi_score", row["fvi_score"], "points"), Value("horizon_years", horizon_years, "years")]
    label = label_of(row)
    return Fact(
        f"{label[:1].upper()}{label[1:]}: {'; '.join(filter(None, told))}.",
        "silver.silver_mine_profiles",
        {"mine_id": row["mine_id"]},
        tuple(values),
        row["panel_as_of_year"],
        row["known_at"],
        row["mine_id"],
    )


_PANEL = """
    (%(state)s::text is null or lower(m.mine_state) = lower(%(state)s)
     or lower(m.mine_state) like lower(%(state)s) || ' (%%')
    and (%(county)s::text is null or lower(m.mine_county) = lower(%(county)s))
    and (%(company)s::text is null or m.operating_company ~* %(company)s)
    and (%(mine_type)s::text is null or lower(m.mine_type) = lower(%(mine_type)s))
    and m.as_of_year = coalesce(%(year)s::int, (select max(as_of_year) from silver.silver_mine_metrics))
"""


def total_production(
    marts: Marts,
    country: str | None = None,
    state: str | None = None,
    county: str | None = None,
    company: str | None = None,
    year: int | None = None,
) -> list[Fact]:
    """What all mines of a place or an operator of the U.S. panel produced together in a year, by default the newest."""
    asked = _of_the_panel(country, state, county, company, None, year)
    row, where = _total(marts, "production_short_tons", asked, company)
    if row is None:
        raise NoSuchFactError(f"There is no production of mines{where} for {year or 'any year'} in the data.")
    text = (
        f"The {integer(row['mines'])} producing mines{where} produced {integer(row['total'])} short tons in "
        f"{row['as_of_year']}."
    )
    return [_total_fact(text, row, asked, company, Value("production_short_tons", row["total"], "short tons"))]


def total_employees(
    marts: Marts,
    country: str | None = None,
    state: str | None = None,
    county: str | None = None,
    company: str | None = None,
    year: int | None = None,
) -> list[Fact]:
    """How many people all mines of a place or an operator of the U.S. panel employed on average in a year, by
    default the newest."""
    asked = _of_the_panel(country, state, county, company, None, year)
    row, where = _total(marts, "average_employees", asked, company)
    if row is None:
        raise NoSuchFactError(f"There is no employment at mines{where} for {year or 'any year'} in the data.")
    text = (
        f"The {integer(row['mines'])} mines{where} with employees employed {integer(row['total'])} people on "
        f"average in {row['as_of_year']}."
    )
    return [_total_fact(text, row, asked, company, Value("average_employees", row["total"], "people"))]


def _total(
    marts: Marts,
    column: Literal["production_short_tons", "average_employees"],
    asked: dict[str, Any],
    company: str | None,
) -> tuple[dict[str, Any] | None, str]:
    """The sum of a column over the mines that have some of it, and where they are in words."""
    row = marts.row(
        f"""
        select m.as_of_year, count(distinct m.mine_id) as mines, sum(m.{column})::bigint as total,
               max(m.known_at) as known_at
        from silver.silver_mine_metrics as m where {_PANEL} and m.{column} > 0 group by m.as_of_year
        """,  # noqa: S608 (a condition and columns of ours)
        asked,
    )
    return row, _where_of(asked["state"], asked["county"], company)


def _total_fact(text: str, row: dict[str, Any], asked: dict[str, Any], company: str | None, total: Value) -> Fact:
    year = row["as_of_year"]
    values = (total, Value("mines", row["mines"], "mines"), Value("year", year, "year"))
    key = _key(asked, company) | {"as_of_year": year}
    return Fact(text, "silver.silver_mine_metrics", key, values, year, row["known_at"])


def largest_producers(
    marts: Marts,
    country: str | None = None,
    state: str | None = None,
    county: str | None = None,
    company: str | None = None,
    mine_type: str | None = None,
    year: int | None = None,
    limit: int = DEFAULT_LISTED,
) -> list[Fact]:
    """The mines of the U.S. panel that produced most in a year, by default the newest, by place, operator and type."""
    asked = _of_the_panel(country, state, county, company, mine_type, year)
    rows = marts.rows(
        f"""
        select m.mine_id, m.mine_name, m.mine_state, m.operating_company, m.as_of_year, m.production_short_tons,
               m.known_at, count(*) over () as mines
        from silver.silver_mine_metrics as m where {_PANEL} and m.production_short_tons > 0
        order by m.production_short_tons desc, m.mine_id limit %(limit)s
        """,  # noqa: S608 (a condition of ours)
        {**asked, "limit": max(1, min(limit, MAXIMUM_LISTED))},
    )
    kind = f"{mine_type.lower()} mines" if mine_type else "mines"
    where = _where_of(state, county, company)
    if not rows:
        raise NoSuchFactError(f"There is no production of {kind}{where} for {year or 'any year'} in the data.")
    first = rows[0]
    facts = [
        Fact(
            f"In {first['as_of_year']}, {integer(first['mines'])} {kind}{where} produced coal.",
            "silver.silver_mine_metrics",
            _key(asked, company) | {"as_of_year": first["as_of_year"]},
            (Value("mines", first["mines"], "mines"), Value("year", first["as_of_year"], "year")),
            first["as_of_year"],
            max(row["known_at"] for row in rows),
        )
    ]
    for row in rows:
        told = [row["mine_state"], row["operating_company"] and f"operator {row['operating_company']}"]
        facts.append(
            Fact(
                f"{row['mine_name']} ({row['mine_id']}): {'; '.join(filter(None, told))}; "
                f"{integer(row['production_short_tons'])} short tons in {row['as_of_year']}.",
                "silver.silver_mine_metrics",
                {"mine_id": row["mine_id"], "as_of_year": row["as_of_year"]},
                (
                    Value("production_short_tons", row["production_short_tons"], "short tons"),
                    Value("year", row["as_of_year"], "year"),
                ),
                row["as_of_year"],
                row["known_at"],
                row["mine_id"],
                f"fvi trace {row['mine_id']} {row['as_of_year']} silver_mine_metrics.production_short_tons",
            )
        )
    return facts


def score_summary(
    marts: Marts,
    country: str | None = None,
    state: str | None = None,
    county: str | None = None,
    company: str | None = None,
    horizon_years: int = 5,
) -> list[Fact]:
    """How the newest scores of the mines of a place or a company lie: how many, their mean, median and range."""
    if horizon_years not in HORIZONS:
        raise NoSuchFactError(f"There are scores at {', '.join(map(str, HORIZONS))} years, not at {horizon_years}.")
    asked = {
        "country": country, "state": state, "county": county, "mine_type": None, "status": "scored",
        "company": company_pattern(company) if company else None, "horizon": horizon_years,
    }  # fmt: skip
    row = marts.row(
        f"""
        select count(*) as mines, avg(s.fvi_score) as mean, min(s.fvi_score) as lowest, max(s.fvi_score) as highest,
            percentile_cont(0.5) within group (order by s.fvi_score) as median, max(s.as_of_year) as as_of_year,
            max(s.scored_at) as scored_at
        {_FROM} where {_CONDITIONS} having count(*) > 0
        """,
        asked,
    )
    described = _described(country, state, county, company, "scored", None)
    if row is None:
        raise NoSuchFactError(f"There are no {described} in the data.")
    figures = ("mean", "median", "lowest", "highest")
    return [
        Fact(
            f"The {integer(row['mines'])} {described} have a mean score of {points(row['mean'])} at {horizon_years} "
            f"years (median {points(row['median'])}, from {points(row['lowest'])} to {points(row['highest'])}), as of "
            f"{row['as_of_year']}.",
            "mart.fvi_scores",
            _key(asked, company) | {"horizon_years": horizon_years, "as_of_year": row["as_of_year"]},
            (
                *(Value(name, row[name], "points") for name in figures),
                Value("mines", row["mines"], "mines"),
                Value("horizon_years", horizon_years, "years"),
            ),
            row["as_of_year"],
            row["scored_at"],
        )
    ]


def _of_the_panel(
    country: str | None, state: str | None, county: str | None, company: str | None, mine_type: str | None,
    year: int | None,
) -> dict[str, Any]:  # fmt: skip
    if country not in (None, "United States"):
        raise NoSuchFactError(f"Yearly figures are in the data for mines of the United States, not for {country}.")
    return {
        "state": state,
        "county": county,
        "company": company_pattern(company) if company else None,
        "mine_type": mine_type,
        "year": year,
    }


def _where_of(state: str | None, county: str | None, company: str | None) -> str:
    place = ", ".join(p for p in (f"{county} County" if county else None, state or "the United States") if p)
    return f"{f' operated by {company}' if company else ''} in {place}"


def _key(asked: dict[str, Any], company: str | None) -> dict[str, Any]:
    key = {name: asked.get(name) for name in ("country", "state", "county", "mine_type")} | {"company": company}
    return {name: value for name, value in key.items() if value is not None}
