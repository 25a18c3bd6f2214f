"""What is observed of a mine, as facts: its profile, its years in the panel, and what changed between two of them.

What a model says of it belongs to `facts_scores`, several mines at once to `facts_lists`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from fvi_pipeline.answers.fact import Fact, Value
from fvi_pipeline.answers.marts import Marts, NoSuchFactError, integer, label_of, place_of, signed_percent

Attribute = Literal[
    "place",
    "status",
    "operator",
    "owner",
    "mine_type",
    "mining_method",
    "coal_type",
    "capacity",
    "reserves",
    "resources",
    "reserve_life",
    "depth",
    "area",
    "opening_year",
    "methane",
    "tracker_workforce",
    "tracker_production",
    "planned_closing_year",
]
ATTRIBUTES: tuple[Attribute, ...] = get_args(Attribute)
# column(s), what is said, unit; {} is the value
_SAID: dict[str, tuple[str, str, str]] = {
    "mine_type": ("mine_type", "{label} is of the type {value}.", ""),
    "mining_method": ("mining_method", "{label} is mined by {value}.", ""),
    "coal_type": ("coal_type", "{label} produces {value} coal.", ""),
    "capacity": ("capacity_mt_per_year", "The capacity of {label} is {value} million tonnes a year.", "million tonnes"),
    "reserves": (
        "reserves_mt",
        "The proven and probable reserves of {label} are {value} million tonnes.",
        "million tonnes",
    ),
    "resources": ("resources_mt", "The coal resources of {label} are {value} million tonnes.", "million tonnes"),
    "reserve_life": (
        "reserve_to_production_years",
        "The reserves of {label} last {value} years, as the tracker states them.",
        "years",
    ),
    "depth": ("mine_depth_m", "{label} is {value} metres deep.", "metres"),
    "area": ("mine_size_km2", "{label} has an area of {value} square kilometres.", "square kilometres"),
    "opening_year": ("opening_year", "{label} opened in {value}.", "year"),
    "methane": (
        "methane_million_tonnes_per_year",
        "The methane emissions of {label} are estimated at {value} million tonnes a year.",
        "million tonnes",
    ),
    "tracker_workforce": ("workforce_size", "By the tracker, {value} people work at {label}.", "people"),
    "planned_closing_year": ("closing_year", "By the tracker, the closing year of {label} is {value}.", "year"),
}


def profile(marts: Marts, mine_id: str, attribute: Attribute) -> list[Fact]:
    """One attribute of a mine as it is known now: its place, status, operator, owner, type, reserves and so on."""
    row = marts.profile(mine_id)
    label = label_of(row)
    if attribute == "place":
        return [_profile_fact(row, f"{label} lies in {place_of(row)}.", ("country", "state_province", "mine_county"))]
    if attribute == "status":
        return _status(row, label)
    if attribute in ("operator", "owner"):
        return _owner(row, label)
    if attribute == "tracker_production":
        return _tracker_production(row, label)
    column, said, unit = _SAID[attribute]
    value = row[column]
    if value is None:
        raise NoSuchFactError(f"The {attribute.replace('_', ' ')} of {label} is not in the data.")
    shown = str(value) if unit in ("", "year") else f"{value:,.10g}"
    return [_profile_fact(row, said.format(label=label, value=shown), (column,), unit)]


def _profile_fact(row: Mapping[str, Any], sentence: str, columns: tuple[str, ...], unit: str = "") -> Fact:
    return Fact(
        sentence[:1].upper() + sentence[1:],
        "silver.silver_mine_profiles",
        {"mine_id": row["mine_id"]},
        tuple(Value(column, row[column], unit) for column in columns if row[column] is not None),
        row["panel_as_of_year"],
        row["known_at"],
        row["mine_id"],
    )


def _status(row: Mapping[str, Any], label: str) -> list[Fact]:
    if row["mine_status"] is None and row["panel_mine_status"] is None:
        if row["last_production_year"] is None:
            raise NoSuchFactError(f"The status of {label} is not in the data.")
        text = f"{label} has no status in the data; it last produced in {row['last_production_year']}."
        return [_profile_fact(row, text, ("last_production_year",), "year")]
    from_panel = row["panel_mine_status"] == row["mine_status"] and row["tracker_status"] != row["mine_status"]
    when = f" (U.S. panel of {row['panel_as_of_year']})" if from_panel else ""
    told = [f"The newest known status of {label} is {row['mine_status']}{when}"]
    if row["panel_mine_status"] and row["panel_mine_status"] != row["mine_status"]:
        told.append(f"in the U.S. panel of {row['panel_as_of_year']} it was {row['panel_mine_status']}")
    return [_profile_fact(row, "; ".join(told) + ".", ("mine_status", "panel_mine_status"))]


def _owner(row: Mapping[str, Any], label: str) -> list[Fact]:
    told = []
    if row["operating_company"]:
        told.append(f"is operated by {row['operating_company']} (U.S. panel of {row['panel_as_of_year']})")
    if row["owners"]:
        told.append(f"is owned by {row['owners']}")
    if row["parent_company"]:
        told.append(f"has the parent company {row['parent_company']}")
    if not told:
        raise NoSuchFactError(f"Neither operator nor owner of {label} is in the data.")
    text = f"{label} {' and '.join(told) if len(told) < 3 else ', '.join(told[:2]) + ' and ' + told[2]}."
    return [_profile_fact(row, text, ("operating_company", "owners", "parent_company"))]


def _tracker_production(row: Mapping[str, Any], label: str) -> list[Fact]:
    if row["production_mt_per_year"] is None:
        raise NoSuchFactError(f"The production of {label} is not in the data.")
    year = f" in {row['production_year']}" if row["production_year"] else ""
    text = f"By the tracker, {label} produced {row['production_mt_per_year']:,.10g} million tonnes{year}."
    return [_profile_fact(row, text, ("production_mt_per_year",), "million tonnes")]


# what silver.silver_mine_metrics sums to by mine and year, found by the mine's own index
_YEAR = """
select mine_id, as_of_year, production_short_tons, average_employees, labor_hours, mine_status, operating_company,
       known_at
from silver.silver_mine_years
where mine_id = %(mine_id)s and as_of_year between %(first)s and %(last)s and known_until is null
order by as_of_year desc
"""
_FIRST, _LAST = 1900, 2200


def _years(marts: Marts, mine_id: str, first: int = _FIRST, last: int = _LAST) -> list[dict[str, Any]]:
    return marts.rows(_YEAR, {"mine_id": mine_id, "first": first, "last": last})


def _panel_fact(row: Mapping[str, Any], sentence: str, *values: Value, trace: str | None = None) -> Fact:
    return Fact(
        sentence,
        "silver.silver_mine_years",
        {"mine_id": row["mine_id"], "as_of_year": row["as_of_year"]},
        values,
        row["as_of_year"],
        row["known_at"],
        row["mine_id"],
        f"fvi trace {row['mine_id']} {row['as_of_year']} {trace}" if trace else None,
    )


def production(marts: Marts, mine_id: str, year: int | None = None) -> list[Fact]:
    """What a mine produced in a year (short tons), by default in the newest year that is known of it."""
    label = marts.label(mine_id)
    rows = _years(marts, mine_id) if year is None else _years(marts, mine_id, year, year)
    if not rows:
        known = _years(marts, mine_id)
        if known:
            raise NoSuchFactError(
                f"There is no production of {label} for {year}; the panel has it for {known[-1]['as_of_year']} to "
                f"{known[0]['as_of_year']}."
            )
        if year is not None and marts.profile(mine_id)["production_year"] != year:
            raise NoSuchFactError(f"There is no production of {label} for {year} in the data.")
        return profile(marts, mine_id, "tracker_production")
    row = rows[0]
    newest = " (the newest year that is known of it)" if year is None else ""
    return [
        _panel_fact(
            row,
            f"{label[:1].upper()}{label[1:]} produced {integer(row['production_short_tons'])} short tons in "
            f"{row['as_of_year']}{newest}.",
            Value("production_short_tons", row["production_short_tons"], "short tons"),
            Value("year", row["as_of_year"], "year"),
            trace="silver_mine_metrics.production_short_tons",
        )
    ]


def production_history(marts: Marts, mine_id: str, first_year: int = _FIRST, last_year: int = _LAST) -> list[Fact]:
    """Production of a mine by year (short tons), at most the newest ten years of the span, and its peak."""
    label = marts.label(mine_id)
    rows = _years(marts, mine_id, first_year, last_year)
    if not rows:
        raise NoSuchFactError(f"There is no production history of {label} in the data.")
    shown = rows[:10]
    told = ", ".join(f"{row['as_of_year']}: {integer(row['production_short_tons'])}" for row in reversed(shown))
    facts = [
        Fact(
            f"Production of {label} by year, short tons: {told}.",
            "silver.silver_mine_years",
            {"mine_id": mine_id, "as_of_year": [row["as_of_year"] for row in reversed(shown)]},
            tuple(Value(f"year_{row['as_of_year']}", row["production_short_tons"], "short tons") for row in shown),
            shown[0]["as_of_year"],
            shown[0]["known_at"],
            mine_id,
        )
    ]
    return [*facts, *peak_production(marts, mine_id, first_year, last_year)]


def peak_production(marts: Marts, mine_id: str, first_year: int = _FIRST, last_year: int = _LAST) -> list[Fact]:
    """The year in which a mine produced most, and how much."""
    label = marts.label(mine_id)
    rows = _years(marts, mine_id, first_year, last_year)
    if not rows:
        raise NoSuchFactError(f"There is no production history of {label} in the data.")
    peak = max(rows, key=lambda row: (row["production_short_tons"] or 0, row["as_of_year"]))
    return [
        _panel_fact(
            peak,
            f"{label[:1].upper()}{label[1:]} produced most in {peak['as_of_year']}: "
            f"{integer(peak['production_short_tons'])} short tons.",
            Value("production_short_tons", peak["production_short_tons"], "short tons"),
            Value("year", peak["as_of_year"], "year"),
        )
    ]


Measure = Literal["average_employees", "labor_hours", "productivity"]
_MEASURES: dict[str, tuple[str, str]] = {
    "average_employees": ("{label} employed {value} people on average in {year}{newest}.", "people"),
    "labor_hours": ("People worked {value} hours at {label} in {year}{newest}.", "hours"),
    "productivity": (
        "{label} produced {value} short tons per hour of labour in {year}{newest}.",
        "short tons per hour",
    ),
}


def workforce(
    marts: Marts, mine_id: str, measure: Measure = "average_employees", year: int | None = None
) -> list[Fact]:
    """People, hours worked or short tons per hour of a mine in a year, by default in the newest year."""
    label = marts.label(mine_id)
    rows = _years(marts, mine_id) if year is None else _years(marts, mine_id, year, year)
    if not rows and measure == "average_employees" and year is None:
        return profile(marts, mine_id, "tracker_workforce")
    value: float | None = None
    if rows:
        row = rows[0]
        if measure == "productivity":
            value = row["production_short_tons"] / row["labor_hours"] if row["labor_hours"] else None
        else:
            value = row[measure]
    if value is None:
        when = "" if year is None else f" for {year}"
        raise NoSuchFactError(f"The {measure.replace('_', ' ')} of {label}{when} is not in the data.")
    said, unit = _MEASURES[measure]
    text = said.format(
        label=label,
        value=f"{value:.2f}" if measure == "productivity" else integer(value),
        year=row["as_of_year"],
        newest=" (the newest year that is known of it)" if year is None else "",
    )
    return [
        _panel_fact(
            row,
            text[:1].upper() + text[1:],
            Value(measure, value, unit),
            Value("year", row["as_of_year"], "year"),
            trace=None if measure == "productivity" else f"silver_mine_metrics.{measure}",
        )
    ]


def changes(marts: Marts, mine_id: str, year: int | None = None, since_year: int | None = None) -> list[Fact]:
    """What changed at a mine in a year against an earlier one: production, people, hours, status, operator.

    By default the newest year of the mine in the panel against the year before; the facts name both.
    """
    label = marts.label(mine_id)
    rows = _years(marts, mine_id, _FIRST, year or _LAST)
    if not rows or (year is not None and rows[0]["as_of_year"] != year):
        raise NoSuchFactError(f"There are no yearly figures of {label}{f' for {year}' if year else ''} in the data.")
    now = rows[0]
    earlier = now["as_of_year"] - 1 if since_year is None else since_year
    before = next((row for row in rows if row["as_of_year"] == earlier), None)
    if before is None or earlier >= now["as_of_year"]:
        raise NoSuchFactError(
            f"{label} has figures for {now['as_of_year']}, but none for {earlier} to compare them with."
        )
    facts = []
    for column, what, unit in (
        ("production_short_tons", "Production", "short tons"),
        ("average_employees", "Average employment", "people"),
        ("labor_hours", "Hours worked", "hours"),
    ):
        facts += _changed_number(label, now, before, column, what, unit)
    for column, what in (("mine_status", "status"), ("operating_company", "operator")):
        if now[column] != before[column] and now[column]:
            facts.append(
                _panel_fact(
                    now,
                    f"The {what} of {label} changed from {before[column] or 'none'} in {before['as_of_year']} to "
                    f"{now[column]} in {now['as_of_year']}.",
                    Value(column, now[column]),
                    Value(f"former_{column}", before[column]),
                    Value("former_year", before["as_of_year"], "year"),
                )
            )
    return facts


def _changed_number(
    label: str, now: Mapping[str, Any], before: Mapping[str, Any], column: str, what: str, unit: str
) -> list[Fact]:
    new, old = now[column], before[column]
    if new is None or old is None:
        return []
    values = [
        Value(column, new, unit),
        Value(f"former_{column}", old, unit),
        Value("change", new - old, unit),
        Value("former_year", before["as_of_year"], "year"),
    ]
    if new == old:
        how = f"stayed at {integer(new)} {unit}"
    else:
        moved = "rose" if new > old else "fell"
        percent = f" ({signed_percent(new / old - 1)})" if old else ""
        how = f"{moved} from {integer(old)} to {integer(new)} {unit}{percent}"
        if old:
            values.append(Value("relative_change", new / old - 1, "share"))
    text = f"{what} of {label} {how} from {before['as_of_year']} to {now['as_of_year']}."
    return [_panel_fact(now, text, *values, trace=f"silver_mine_metrics.{column}")]
