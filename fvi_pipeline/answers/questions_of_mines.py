"""Evaluation questions about one mine: numbers, like names, why, what changed. Of many mines: `questions_of_many`."""

from __future__ import annotations

from typing import Any

from fvi_pipeline.answers.asked import METRICS, SCORE, Asked, Warehouse, key_of, plain_name, with_mine

_HORIZON_WORDINGS = (
    (1, "What is the one-year FVI score of {name}?"),
    (5, "What is the FVI score of {name} at 5 years?"),
    (10, "How likely is it that {name} still produces in {target}?"),
    (20, "What are the odds of {name} surviving the next 20 years?"),
    (3, "Give me the viability of {name} over 3 years."),
    (2, "score of {name} in two years"),
)


def numbers(warehouse: Warehouse, mines: list[dict[str, Any]]) -> list[Asked]:
    """Scores, production, people, forecasts and totals."""
    asked = []
    for mine, (horizon, wording) in zip(mines, _HORIZON_WORDINGS, strict=False):
        (score,) = warehouse.rows(SCORE, mine_id=mine["mine_id"], horizon=horizon)
        text = wording.format(name=with_mine(mine["mine_name"]), target=mine["as_of_year"] + horizon)
        numbers = (score["fvi_score"], score["interval_low"], score["interval_high"])
        asked.append(Asked("number", text, numbers=numbers, mines=(mine["mine_id"],), about="score"))
    wordings = (
        ("production", "What are the latest production figures of {name}?", 0),
        ("production", "How much coal did {name} produce in {year}?", 2),
        ("production", "What was the output of {name} in {year}?", 1),
        ("production", "how many tons were mined at {name} in {year}", 3),
        ("employees", "How many people work at {name}?", 0),
        ("employees", "What was the average employment at {name} in {year}?", 1),
        ("hours", "How many hours were worked at {name} in {year}?", 0),
        ("hours", "Hours worked in {year} at {name}?", 2),
    )
    for mine, (column, wording, back) in zip(mines[6:], wordings, strict=False):
        years = warehouse.rows(METRICS, mine_id=mine["mine_id"])
        row = years[min(back, len(years) - 1)]
        text = wording.format(name=with_mine(mine["mine_name"]), year=row["as_of_year"])
        asked.append(
            Asked(
                "number", text, numbers=(float(row[column]), row["as_of_year"]), mines=(mine["mine_id"],), about=column
            )
        )
    asked += _companions(warehouse, mines[14:20]) + _totals(warehouse)
    return asked


def _companions(warehouse: Warehouse, mines: list[dict[str, Any]]) -> list[Asked]:
    asked = []
    forecast, status, closing, index, peak, given = mines
    row = warehouse.rows(
        "select median_short_tons, low_short_tons, high_short_tons from mart.production_forecasts where mine_id "
        "= %(mine_id)s",
        mine_id=forecast["mine_id"],
    )
    if row:
        text = f"What is the production forecast for {with_mine(forecast['mine_name'])}?"
        asked.append(
            Asked("number", text, numbers=tuple(row[0].values()), mines=(forecast["mine_id"],), about="forecast")
        )
    row = warehouse.rows(
        "select 100 * probability as percent from mart.status_forecasts where mine_id = %(mine_id)s and status = "
        "'active'",
        mine_id=status["mine_id"],
    )
    if row:
        text = f"What will the status of {with_mine(status['mine_name'])} most likely be next year?"
        asked.append(
            Asked("number", text, numbers=(row[0]["percent"],), mines=(status["mine_id"],), about="next status")
        )
    row = warehouse.rows(
        "select in_words from mart.closing_years where mine_id = %(mine_id)s", mine_id=closing["mine_id"]
    )
    if row:
        text = f"When is {with_mine(closing['mine_name'])} expected to close?"
        asked.append(
            Asked("number", text, texts=(row[0]["in_words"],), mines=(closing["mine_id"],), about="closing year")
        )
    row = warehouse.rows(
        "select index_score from mart.fvi_index where mine_id = %(mine_id)s order by as_of_year desc limit 1",
        mine_id=index["mine_id"],
    )
    if row and row[0]["index_score"] is not None:
        text = f"What index does {with_mine(index['mine_name'])} have?"
        asked.append(Asked("number", text, numbers=(row[0]["index_score"],), mines=(index["mine_id"],), about="index"))
    years = warehouse.rows(METRICS, mine_id=peak["mine_id"])
    top = max(years, key=lambda year: (year["production"], year["as_of_year"]))
    text = f"In which year did {with_mine(peak['mine_name'])} reach its peak production?"
    asked.append(
        Asked(
            "number",
            text,
            numbers=(top["as_of_year"], float(top["production"])),
            mines=(peak["mine_id"],),
            about="peak",
        )
    )
    years = warehouse.rows(METRICS, mine_id=given["mine_id"])
    asked.append(
        Asked(
            "number",
            "What did it produce in the newest year?",
            given["mine_id"],
            (float(years[0]["production"]),),
            mines=(given["mine_id"],),
            about="mine given beside the question",
        )
    )
    return asked


def _totals(warehouse: Warehouse) -> list[Asked]:
    rows = warehouse.rows(
        """
        select split_part(mine_state, ' (', 1) as state, as_of_year, sum(production_short_tons) as total,
               count(distinct mine_id) filter (where production_short_tons > 0) as mines
        from silver.silver_mine_metrics
        where as_of_year = (select max(as_of_year) from silver.silver_mine_metrics) and mine_state !~* 'refuse'
        group by 1, 2 having count(distinct mine_id) filter (where production_short_tons > 0) > 2
        order by md5(split_part(mine_state, ' (', 1)) limit 2
        """
    )
    wordings = (
        "How much coal did all mines in {state} produce together in {year}?",
        "What was the total output of {state} in {year}?",
    )
    return [
        Asked(
            "number",
            wording.format(state=row["state"], year=row["as_of_year"]),
            numbers=(float(row["total"]), row["mines"]),
            about="total",
        )
        for row, wording in zip(rows, wordings, strict=False)
    ]


def like_names(warehouse: Warehouse, scored: list[dict[str, Any]]) -> list[Asked]:
    """Names of several mines: with what tells them apart, with one that still produces, and to be asked back."""
    asked: list[Asked] = []
    same: dict[str, list[dict[str, Any]]] = {}
    for mine in scored:
        same.setdefault(key_of(mine["mine_name"]), []).append(mine)
    operating = {
        row["mine_id"]: key_of(row["mine_name"])
        for row in warehouse.rows(
            "select mine_id, mine_name from silver.silver_mine_profiles where mine_status = 'Operating' and "
            "mine_name is not null"
        )
    }
    producing = [key for key, mines in same.items() for _ in mines]
    producing += [key for mine_id, key in operating.items() if mine_id not in {mine["mine_id"] for mine in scored}]
    lone = [mines[0] for key, mines in same.items() if len(mines) == 1 and warehouse.names[key] > 1 and len(key) > 4]
    elsewhere = [mine for mine in lone if plain_name(mine["mine_name"]) and _states_of(warehouse, mine) == 1]
    for mine in elsewhere[:3]:
        (score,) = warehouse.rows(SCORE, mine_id=mine["mine_id"], horizon=5)
        text = f"What is the 5-year score of {with_mine(mine['mine_name'])} in {mine['state']}?"
        asked.append(
            Asked(
                "number", text, numbers=(score["fvi_score"],), mines=(mine["mine_id"],), like_names=True, about="score"
            )
        )
    by_itself = [m for m in lone if plain_name(m["mine_name"]) and producing.count(key_of(m["mine_name"])) == 1]
    for mine in by_itself[3:6]:
        years = warehouse.rows(METRICS, mine_id=mine["mine_id"])
        text = f"How much does {with_mine(mine['mine_name'])} produce?"
        asked.append(
            Asked(
                "number",
                text,
                numbers=(float(years[0]["production"]),),
                mines=(mine["mine_id"],),
                like_names=True,
                about="production, one of the name still produces",
            )
        )
    several = [mines for mines in same.values() if len(mines) > 1]
    for mines in several[:3]:
        text = f"What is the FVI score of {with_mine(mines[0]['mine_name'])}?"
        identifiers = tuple(mine["mine_id"] for mine in mines[:8])
        asked.append(Asked("number", text, mines=identifiers, status=("clarify",), like_names=True, about="asked back"))
    for mines in several[:2]:
        one = mines[0]
        if sum(other["mine_county"] == one["mine_county"] and other["state"] == one["state"] for other in mines) == 1:
            (score,) = warehouse.rows(SCORE, mine_id=one["mine_id"], horizon=5)
            where = f"{one['mine_county']} County, {one['state']}"
            text = f"What is the FVI score of {with_mine(one['mine_name'])} in {where}?"
            asked.append(
                Asked(
                    "number",
                    text,
                    numbers=(score["fvi_score"],),
                    mines=(one["mine_id"],),
                    like_names=True,
                    status=("answered", "clarify"),
                    about="score, named by county",
                )
            )
    return asked


def _states_of(warehouse: Warehouse, mine: dict[str, Any]) -> int:
    """How many mines of this name are in its state."""
    (found,) = warehouse.rows(
        "select count(*) as mines from silver.silver_mine_profiles where split_part(state_province, ' (', 1) = "
        "%(state)s "
        "and lower(mine_name) like '%%' || lower(%(name)s) || '%%'",
        state=mine["state"],
        name=key_of(mine["mine_name"]),
    )
    return int(found["mines"])


_WHY_WORDINGS = (
    "Why is {name} at risk?",
    "What speaks for and against {name}?",
    "Why does {name} have this score?",
    "Explain the 10-year score of {name}.",
    "What drives the viability of {name}?",
    "What are the main reasons behind the score of {name}?",
    "why is the score of {name} so high or so low",
    "Which factors explain the outlook of {name} over 3 years?",
    "Why might {name} close?",
    "How come {name} is rated this way?",
)


def whys(warehouse: Warehouse, mines: list[dict[str, Any]]) -> list[Asked]:
    """Reasons of scores, the strongest in its words."""
    asked = []
    for mine, wording in zip(mines, _WHY_WORDINGS, strict=False):
        horizon = 10 if "10-year" in wording else 3 if "3 years" in wording else 5
        (score,) = warehouse.rows(SCORE, mine_id=mine["mine_id"], horizon=horizon)
        reasons = warehouse.rows(
            "select reason_in_words from mart.score_reasons where mine_id = %(mine_id)s and horizon_years = "
            "%(horizon)s "
            "and as_of_year = (select max(as_of_year) from mart.fvi_scores) order by rank limit 1",
            mine_id=mine["mine_id"],
            horizon=horizon,
        )
        texts = tuple(row["reason_in_words"] for row in reasons if row["reason_in_words"])
        text = wording.format(name=with_mine(mine["mine_name"]))
        asked.append(
            Asked("why", text, numbers=(score["fvi_score"],), texts=texts, mines=(mine["mine_id"],), about="reasons")
        )
    return asked


_CHANGE_WORDINGS = (
    ("What changed for {name} this year?", 0),
    ("What changed at {name} in {year}?", 1),
    ("What is new at {name}?", 0),
    ("How did {name} change in {year}?", 2),
    ("How did production at {name} change from {before} to {year}?", 1),
    ("Did the output of {name} rise or fall in {year}?", 0),
    ("What has changed at {name} since last year?", 0),
    ("Compared to the previous year, how is {name} doing?", 0),
    ("changes at {name} in {year}", 3),
    ("Has employment at {name} declined in {year}?", 1),
)


def changes(warehouse: Warehouse, mines: list[dict[str, Any]]) -> list[Asked]:
    """What changed from one year to the next."""
    asked: list[Asked] = []
    wordings = iter(_CHANGE_WORDINGS)
    for mine in mines:
        years = {row["as_of_year"]: row for row in warehouse.rows(METRICS, mine_id=mine["mine_id"])}
        if any(mine["as_of_year"] - back not in years for back in range(5)):
            continue
        wording = next(wordings, None)
        if wording is None:
            break
        year = mine["as_of_year"] - wording[1]
        text = wording[0].format(name=with_mine(mine["mine_name"]), year=year, before=year - 1)
        column = "employees" if "employment" in text else "production"
        numbers = (float(years[year][column]), float(years[year - 1][column]), year, year - 1)
        asked.append(Asked("change", text, numbers=numbers, mines=(mine["mine_id"],), about=f"change of {column}"))
    return asked
