"""What the model says of a mine, as facts: scores, their history and reasons, forecasts, the index, peers.

Each function reads marts of one mine and gives facts with their tables and keys. Facts that are observed belong to
`facts_mines`.
"""

from __future__ import annotations

from typing import Any

from fvi_pipeline.answers.fact import Fact, Value
from fvi_pipeline.answers.marts import HORIZONS, Marts, NoSuchFactError, integer, points
from fvi_pipeline.model.explanations.reasons import Reason

STRONGEST = 3
LEAST_CONTRIBUTION = 0.05
"""Log-odds: about one point of a score in the middle; what adds less is no reason."""
CONFIDENCE = 0.9
"""Of the scores' intervals (model.intervals)."""
_SCORE_COLUMNS = ("mine_id", "as_of_year", "horizon_years")
_STATUSES = {
    "active": "active and producing",
    "not_producing": "listed without production",
    "temporarily_closed": "temporarily closed",
    "permanently_closed": "permanently closed",
    "not_listed": "not listed any more",
}
_PILLARS = ("necessity", "resource", "economics", "emissions", "workforce", "ecology", "support", "ownership")


def _score_fact(label: str, row: dict[str, Any]) -> Fact:
    target = row["as_of_year"] + row["horizon_years"]
    low, high = row["interval_low"], row["interval_high"]
    measured = not (low == 0 and high == 100)
    interval = (
        f"{CONFIDENCE:.0%} interval {points(low)} to {points(high)}"
        if measured
        else "its interval has not been measured"
    )
    years = f"{row['horizon_years']} year{'s' if row['horizon_years'] != 1 else ''}"
    return Fact(
        sentence=f"The FVI score of {label} at {years} is {points(row['fvi_score'])} of 100 ({interval}): the "
        f"probability, in percent, that it still produces in {target}, as of {row['as_of_year']}.",
        table="mart.fvi_scores",
        key={name: row[name] for name in _SCORE_COLUMNS},
        values=(
            Value("fvi_score", row["fvi_score"], "points"),
            Value("interval_low", low, "points"),
            Value("interval_high", high, "points"),
            Value("confidence", CONFIDENCE, "share"),
            Value("horizon_years", row["horizon_years"], "years"),
            Value("target_year", target, "year"),
        ),
        as_of_year=row["as_of_year"],
        known_at=row["scored_at"],
        mine_id=row["mine_id"],
        trace=f"fvi trace {row['mine_id']} {row['as_of_year']} fvi_score --horizon {row['horizon_years']}",
    )


def scores(marts: Marts, mine_id: str, horizon_years: int | None = None) -> list[Fact]:
    """The newest FVI score of a mine with its interval, at one horizon (1, 2, 3, 5, 10 or 20 years) or at all."""
    label = marts.label(mine_id)
    rows = marts.rows(
        "select * from mart.fvi_scores where mine_id = %s "
        "and as_of_year = (select max(as_of_year) from mart.fvi_scores) order by horizon_years",
        [mine_id],
    )
    if horizon_years is not None and horizon_years not in HORIZONS:
        raise NoSuchFactError(f"There are scores at {', '.join(map(str, HORIZONS))} years, not at {horizon_years}.")
    if not rows:
        raise NoSuchFactError(
            f"{label} has no FVI score: it is outside the cohort, because it does not produce in the newest year or "
            "has no production history in the U.S. panel."
        )
    return [_score_fact(label, row) for row in rows if horizon_years in (None, row["horizon_years"])]


def score_history(marts: Marts, mine_id: str, horizon_years: int = 5) -> list[Fact]:
    """What the score of a mine at a horizon was at the last two scorings, and the difference between them."""
    label = marts.label(mine_id)
    rows = marts.rows(
        "select * from mart.fvi_score_history where mine_id = %s and horizon_years = %s "
        "order by scored_at desc, as_of_year desc limit 2",
        [mine_id, horizon_years],
    )
    if not rows:
        return []
    now = rows[0]
    if len(rows) == 1:
        text = (
            f"The score of {label} at {horizon_years} years was made once, on {now['scored_at']:%Y-%m-%d}, so that "
            "there is no earlier score to compare it with."
        )
        values: tuple[Value, ...] = (Value("fvi_score", now["fvi_score"], "points"),)
    else:
        then = rows[1]
        moved = now["fvi_score"] - then["fvi_score"]
        text = (
            f"The score of {label} at {horizon_years} years moved by {moved:+.1f} points, from "
            f"{points(then['fvi_score'])} (as of {then['as_of_year']}, model version {then['model_version']}) to "
            f"{points(now['fvi_score'])} (as of {now['as_of_year']}, model version {now['model_version']})."
        )
        values = (
            Value("change", moved, "points"),
            Value("former_score", then["fvi_score"], "points"),
            Value("fvi_score", now["fvi_score"], "points"),
            Value("former_as_of_year", then["as_of_year"], "year"),
        )
    key = {"mine_id": mine_id, "horizon_years": horizon_years, "scored_at": now["scored_at"].isoformat()}
    return [
        Fact(text, "mart.fvi_score_history", key, (*values, Value("horizon_years", horizon_years, "years"),
             Value("scored_at", now["scored_at"].date().isoformat())),
             now["as_of_year"], now["scored_at"], mine_id)
    ]  # fmt: skip


def reasons(marts: Marts, mine_id: str, horizon_years: int = 5) -> list[Fact]:
    """The strongest reasons for and against a mine in its score, in words, with what each adds to the log-odds."""
    (score,) = scores(marts, mine_id, horizon_years)
    found = _explained(marts, mine_id, horizon_years)
    table = "mart.score_explanations"
    if not found:
        table = "mart.score_reasons"
        found = _stored_reasons(marts, mine_id, horizon_years, score.as_of_year)
    facts = []
    for against in (True, False):
        side = [
            reason
            for reason in found
            if abs(reason.contribution) >= LEAST_CONTRIBUTION and (reason.contribution < 0) == against
        ]
        for reason in _distinct(side)[:STRONGEST]:
            facts.append(
                Fact(
                    sentence=reason.in_words,
                    table=table,
                    key={**score.key, "feature": reason.feature},
                    values=(
                        Value(reason.feature, reason.value),
                        Value("contribution", reason.contribution, "log-odds"),
                    ),
                    as_of_year=score.as_of_year,
                    known_at=score.known_at,
                    mine_id=mine_id,
                    trace=f"fvi trace {mine_id} {score.as_of_year} {reason.feature}",
                )
            )
    return facts


def _explained(marts: Marts, mine_id: str, horizon_years: int) -> list[Reason]:
    from fvi_pipeline.run.scores import NotExplainedError, stored_explanation

    try:
        return list(stored_explanation(marts.connection, mine_id, horizon_years).reasons)
    except NotExplainedError:
        return []


def _stored_reasons(marts: Marts, mine_id: str, horizon_years: int, as_of_year: int | None) -> list[Reason]:
    rows = marts.rows(
        "select feature, value, contribution, reason_in_words from mart.score_reasons "
        "where mine_id = %s and horizon_years = %s and as_of_year = %s and reason_in_words is not null order by rank",
        [mine_id, horizon_years, as_of_year],
    )
    return [
        Reason(row["feature"], row["value"], row["contribution"], row["reason_in_words"].rpartition(" This ")[0])
        for row in rows
    ]


def _distinct(side: list[Reason]) -> list[Reason]:
    """Of reasons that say the same, the strongest."""
    strongest: dict[str, Reason] = {}
    for reason in sorted(side, key=lambda reason: (-abs(reason.contribution), reason.feature)):
        strongest.setdefault(reason.sentence, reason)
    return list(strongest.values())


def index(marts: Marts, mine_id: str) -> list[Fact]:
    """The transparent index of a mine (0 to 100), the share of weights that it rests on, and each pillar's points."""
    label = marts.label(mine_id)
    row = marts.row("select * from mart.fvi_index where mine_id = %s order by as_of_year desc limit 1", [mine_id])
    if row is None or row["index_score"] is None:
        raise NoSuchFactError(f"{label} has no index: none of its metrics is known.")
    key = {"mine_id": mine_id, "as_of_year": row["as_of_year"]}
    pillars = sorted(
        ((row[f"{name}_points"], name) for name in _PILLARS if row[f"{name}_points"] is not None), reverse=True
    )
    told = ", ".join(f"{name} {points(value)}" for value, name in pillars)
    values = (
        Value("index_score", row["index_score"], "points"),
        Value("coverage", row["coverage"], "share"),
        *(Value(f"{name}_points", value, "points") for value, name in pillars),
    )
    return [
        Fact(
            f"The index of {label} is {points(row['index_score'])} of 100 as of {row['as_of_year']}, on "
            f"{100 * row['coverage']:.0f}% of the weights; points by pillar: {told}.",
            "mart.fvi_index",
            key,
            values,
            row["as_of_year"],
            row["created_timestamp"],
            mine_id,
            f"fvi trace {mine_id} {row['as_of_year']} index_score",
        )
    ]


def production_forecast(marts: Marts, mine_id: str) -> list[Fact]:
    """The forecast of a mine's production in the next year if it still produces then, with its interval."""
    label = marts.label(mine_id)
    row = marts.row(
        "select * from mart.production_forecasts where mine_id = %s order by as_of_year desc limit 1", [mine_id]
    )
    if row is None:
        raise NoSuchFactError(f"There is no production forecast for {label}: it is outside the cohort.")
    return [
        Fact(
            f"If it still produces, {label} is expected to produce {integer(row['median_short_tons'])} short tons in "
            f"{row['forecast_year']} (median; {100 * row['confidence']:.0f}% interval "
            f"{integer(row['low_short_tons'])} to {integer(row['high_short_tons'])}), after "
            f"{integer(row['production_short_tons'])} in {row['as_of_year']}.",
            "mart.production_forecasts",
            {"mine_id": mine_id, "as_of_year": row["as_of_year"]},
            (
                Value("median_short_tons", row["median_short_tons"], "short tons"),
                Value("low_short_tons", row["low_short_tons"], "short tons"),
                Value("high_short_tons", row["high_short_tons"], "short tons"),
                Value("production_short_tons", row["production_short_tons"], "short tons"),
                Value("confidence", row["confidence"], "share"),
                Value("forecast_year", row["forecast_year"], "year"),
            ),
            row["as_of_year"],
            row["scored_at"],
            mine_id,
        )
    ]


def next_status(marts: Marts, mine_id: str) -> list[Fact]:
    """The probability of each status of a mine at the end of the next year."""
    label = marts.label(mine_id)
    rows = marts.rows(
        "select * from mart.status_forecasts where mine_id = %s and as_of_year = "
        "(select max(as_of_year) from mart.status_forecasts) order by probability desc, status",
        [mine_id],
    )
    if not rows:
        raise NoSuchFactError(f"There is no status forecast for {label}: it is outside the cohort.")
    told = ", ".join(f"{_STATUSES.get(row['status'], row['status'])} {_percent(row['probability'])}" for row in rows)
    first = rows[0]
    return [
        Fact(
            f"At the end of {first['forecast_year']}, {label} is most likely to be "
            f"{_STATUSES.get(first['status'], first['status'])}; the probabilities: {told}.",
            "mart.status_forecasts",
            {"mine_id": mine_id, "as_of_year": first["as_of_year"]},
            (
                *(Value(row["status"], row["probability"], "share") for row in rows),
                Value("forecast_year", first["forecast_year"], "year"),
            ),
            first["as_of_year"],
            first["scored_at"],
            mine_id,
        )
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def closing_year(marts: Marts, mine_id: str) -> list[Fact]:
    """The year in which a mine is expected to have closed, with its range."""
    label = marts.label(mine_id)
    row = marts.row("select * from mart.closing_years where mine_id = %s order by as_of_year desc limit 1", [mine_id])
    if row is None:
        raise NoSuchFactError(f"There is no closing year for {label}: it is outside the cohort.")
    years = ("closing_year", "closing_year_low", "closing_year_high", "last_year", "tested_until_year")
    return [
        Fact(
            f"The year in which {label} more likely does not produce than does: {row['in_words']}.",
            "mart.closing_years",
            {"mine_id": mine_id, "as_of_year": row["as_of_year"]},
            tuple(Value(name, row[name], "year") for name in years if row[name] is not None),
            row["as_of_year"],
            row["scored_at"],
            mine_id,
        )
    ]


def peers(marts: Marts, mine_id: str, horizon_years: int = 5) -> list[Fact]:
    """Where the score of a mine stands among scored mines of its state and of its type."""
    (score,) = scores(marts, mine_id, horizon_years)
    profile = marts.profile(mine_id)
    facts = []
    for column, group, where in (
        ("state_province", profile["state_province"], "in"),
        ("mine_type", profile["mine_type"], "of the type"),
    ):
        if not group:
            continue
        row = marts.row(
            "select count(*) as mines, count(*) filter (where s.fvi_score > %(score)s) + 1 as place, "
            "percentile_cont(0.5) within group (order by s.fvi_score) as median "
            "from mart.fvi_scores as s join silver.silver_mine_profiles as p using (mine_id) "
            "where s.horizon_years = %(horizon)s and s.as_of_year = %(year)s "
            "and case %(column)s when 'mine_type' then p.mine_type else p.state_province end = %(group)s",
            {
                "score": score.values[0].value,
                "horizon": horizon_years,
                "year": score.as_of_year,
                "column": column,
                "group": group,
            },
        )
        if row is None or row["mines"] < 2:
            continue
        facts.append(
            Fact(
                f"Among the {integer(row['mines'])} scored mines {where} {group}, {marts.label(mine_id)} is number "
                f"{integer(row['place'])} by its score at {horizon_years} years; the median is "
                f"{points(row['median'])}.",
                "mart.fvi_scores",
                {"horizon_years": horizon_years, "as_of_year": score.as_of_year, column: group},
                (
                    Value("mines", row["mines"], "mines"),
                    Value("place", row["place"], "place"),
                    Value("median", row["median"], "points"),
                    Value("horizon_years", horizon_years, "years"),
                ),
                score.as_of_year,
                score.known_at,
                mine_id,
            )
        )
    return facts
