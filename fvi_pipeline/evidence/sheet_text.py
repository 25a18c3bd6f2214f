"""How a fact sheet of a mine reads: facts in, Markdown out. Where the facts come from belongs in `fact_sheets`.

Figures are rounded: scores and points to whole numbers, tons to three digits.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

Facts = Mapping[str, Any]

_PILLARS = ("necessity", "resource", "economics", "emissions", "workforce", "ecology", "support", "ownership")
_SIGNIFICANT_DIGITS = 3
_HEAD_HORIZON = 5


def sheet_title(mine: Facts) -> str:
    """Return the sheet's title: the mine's name and place."""
    return ", ".join(filter(None, (f"Fact sheet: {_name(mine)}", *_place(mine))))


def sheet_text(mine: Facts, facts: Facts) -> str:
    """Return the sheet in Markdown.

    `mine` is a row of silver.silver_mine_profiles with the mine's row of mart.fvi_index (index_year and the columns of
    points); `facts` has, each None where there is none: scores, reasons, closing, production_forecast,
    status_forecast, years (newest first) and best_year.
    """
    sections = [
        ("", _head(mine, facts)),
        ("Viability", _viability(facts)),
        ("Index", _index(mine)),
        ("Production", _production(mine, facts)),
        ("Owner and site", _site(mine)),
    ]
    blocks = []
    for heading, sentences in sections:
        body = " ".join(sentences)
        if body:
            blocks.append(f"## {heading}\n\n{body}" if heading else body)
    return "\n\n".join(blocks)


def _head(mine: Facts, facts: Facts) -> Iterable[str]:
    ids = [mine["mine_id"]]
    if mine["msha_id"]:
        ids.append(f"MSHA ID {mine['msha_id']}")
    ids += [f"GEM ID {gem_id}" for gem_id in mine["gem_mine_ids"] or () if f"gem:{gem_id}" not in ids]
    kind = f"{mine['mine_type'].lower()} " if mine["mine_type"] else ""
    article = "an" if kind[:1] in ("u", "o", "a") else "a"
    place = ", ".join(_place(mine))
    where = f" in {place}" if place else ""
    operator = mine["operating_company"] or mine["owners"]
    whose = f", {'operated' if mine['operating_company'] else 'owned'} by {operator.rstrip('.')}" if operator else ""
    yield f"{_name(mine)} ({'; '.join(ids)}) is {article} {kind}coal mine{where}{whose}."
    if mine["mine_name_local"]:
        yield f"Local name: {mine['mine_name_local']}."
    if mine["mine_status"]:
        detail = f" ({mine['tracker_status_detail']})" if mine["tracker_status_detail"] else ""
        yield f"Status: {mine['mine_status']}{detail}."
    head = next((score for score in facts["scores"] or () if score["horizon"] == _HEAD_HORIZON), None)
    if head:
        yield (
            f"Its FVI score for {head['year'] + head['horizon']}, {head['horizon']} years from {head['year']}, "
            f"is {head['score']:.0f} of 100."
        )


def _viability(facts: Facts) -> Iterable[str]:
    scores = facts["scores"]
    if not scores:
        return
    listed = "; ".join(
        f"{score['score']:.0f} (interval {score['low']:.0f}-{score['high']:.0f}) at {_years(score['horizon'])}, "
        f"{score['year'] + score['horizon']}"
        for score in scores
    )
    yield f"FVI scores as of {scores[0]['year']}, the chance of still producing in 100: {listed}."
    if facts["closing"]:
        yield f"Likely closing year: {facts['closing']['words']}."
    if facts["reasons"]:
        yield f"Main reasons for the score at {_years(_HEAD_HORIZON)}: {' '.join(facts['reasons'])}"


def _index(mine: Facts) -> Iterable[str]:
    if mine["index_score"] is None:
        return
    yield (
        f"FVI index as of {mine['index_year']}: {mine['index_score']:.0f} of 100, computed from metrics with "
        f"{mine['coverage']:.0%} of the weight."
    )
    points = [(mine[f"{pillar}_points"], pillar) for pillar in _PILLARS if mine[f"{pillar}_points"] is not None]
    if points:
        listed = ", ".join(f"{pillar} {value:.0f}" for value, pillar in sorted(points, reverse=True))
        yield f"Points by pillar: {listed}."


def _production(mine: Facts, facts: Facts) -> Iterable[str]:
    years = [year for year in facts["years"] or () if year["tons"] is not None]
    if years:
        listed = "; ".join(
            f"{year['tons']:,.0f} short tons in {year['year']}"
            + (f" with {year['employees']:,.0f} employees" if year["employees"] else "")
            for year in years
        )
        yield f"Production: {listed}."
    if facts["best_year"]:
        yield f"Most in a year: {facts['best_year']['tons']:,.0f} short tons in {facts['best_year']['year']}."
    if mine["first_production_year"]:
        yield f"It produced from {mine['first_production_year']} to {mine['last_production_year']}."
    forecast = facts["production_forecast"]
    if forecast:
        yield (
            f"Forecast for {forecast['year']}: {_rounded(forecast['median'])} short tons, "
            f"with {forecast['confidence']:.0%} confidence between "
            f"{_rounded(forecast['low'])} and {_rounded(forecast['high'])}."
        )
    status = facts["status_forecast"]
    if status:
        yield f"Most likely status in {status['year']}: {status['status']} ({status['probability']:.0%})."
    if mine["production_mt_per_year"] is not None:
        in_year = f" in {mine['production_year']}" if mine["production_year"] else ""
        yield f"Production by the tracker: {mine['production_mt_per_year']:g} million tonnes{in_year}."


def _site(mine: Facts) -> Iterable[str]:
    if mine["owners"] and mine["operating_company"]:
        yield f"Owner: {mine['owners'].rstrip('.')}."
    if mine["parent_company"]:
        yield f"Parent company: {mine['parent_company'].rstrip('.')}."
    for name, unit, words in (
        ("opening_year", "", "Opened"),
        ("closing_year", "", "Closing year by the tracker"),
        ("capacity_mt_per_year", " million tonnes a year", "Capacity"),
        ("reserves_mt", " million tonnes", "Reserves"),
        ("resources_mt", " million tonnes", "Resources"),
        ("reserve_to_production_years", " years", "Reserves at the present rate last"),
        ("workforce_size", " people", "Workforce"),
        ("mine_depth_m", " m", "Depth"),
        ("mine_size_km2", " km²", "Area"),
        ("methane_million_tonnes_per_year", " million tonnes a year", "Coal mine methane"),
    ):
        value = mine[name]
        if value is not None:
            yield f"{words}: {value if unit == '' else f'{value:,.10g}'}{unit}."
    if mine["mining_method"]:
        yield f"Mining method: {mine['mining_method']}."
    if mine["coal_type"]:
        grade = f", {mine['coal_grade'].lower()}" if mine["coal_grade"] else ""
        yield f"Coal: {mine['coal_type'].lower()}{grade}."


def _name(mine: Facts) -> str:
    return str(mine["mine_name"] or f"The mine {mine['mine_id']}")


def _place(mine: Facts) -> list[str]:
    county = f"{mine['mine_county']} County" if mine["mine_county"] and mine["msha_id"] else mine["mine_county"]
    return [place for place in (county, mine["state_province"], mine["country"]) if place]


def _years(number: int) -> str:
    return "1 year" if number == 1 else f"{number} years"


def _rounded(value: float) -> str:
    if value <= 0:
        return "0"
    return f"{round(value, _SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(value))):,.0f}"
