"""What is known of the models and of the weights, as facts: who is champion and why, what it measured, its metrics.

Scores of mines belong to `facts_scores`.
"""

from __future__ import annotations

from typing import Literal

from fvi_pipeline.answers.fact import Fact, Value
from fvi_pipeline.answers.marts import Marts, NoSuchFactError

Model = Literal["fvi_viability", "fvi_production", "fvi_next_status"]
# What of the gate's figures is told, by model: name in ops.promotions.metrics, words, unit
_FIGURES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "fvi_viability": (
        ("test_auc", "an AUC of {}", ""),
        ("test_brier", "a Brier score of {}", ""),
        ("test_base_rate_brier", "{} for the training rate", ""),
        ("test_size_brier", "{} for production alone", ""),
        ("test_calibration_error", "a calibration error of {}", ""),
        ("test_rows", "on {} rows", "rows"),
    ),
    "fvi_production": (
        ("absolute_error", "a mean absolute error of {} (logarithm)", ""),
        ("coverage", "intervals that held {} of the outcomes", ""),
    ),
    "fvi_next_status": (
        ("log_loss", "a log loss of {}", ""),
        ("log_loss_the_base_rates", "{} for the base rates", ""),
    ),
}


def champion(marts: Marts, model: Model = "fvi_viability") -> list[Fact]:
    """Which version of a model is champion, since when, why it was promoted, and what it measured on test rows."""
    row = marts.row(
        "select * from ops.promotions where model_name = %s and decision in ('promoted', 'rolled_back') "
        "order by promoted_at desc limit 1",
        [model],
    )
    if row is None:
        raise NoSuchFactError(f"No version of {model} has been promoted yet.")
    key = {"model_name": model, "promoted_at": row["promoted_at"].isoformat()}
    day = row["promoted_at"].date().isoformat()
    before = f", in place of version {row['previous_version']}" if row["previous_version"] else ""
    decision = {"promoted": "promoted", "rolled_back": "brought back"}[row["decision"]]
    facts = [
        Fact(
            f"The champion of {model} is version {row['version']}, {decision} on {day} by {row['actor']}{before}.",
            "ops.promotions",
            key,
            (Value("version", row["version"]), Value("promoted_at", day)),
            None,
            row["promoted_at"],
        ),
        Fact(f"The reason: {row['reason'].rstrip('.')}.", "ops.promotions", key, (), None, row["promoted_at"]),
    ]
    told, values = [], []
    for name, words, unit in _FIGURES[model]:
        value = row["metrics"].get(name)
        if isinstance(value, int | float):
            told.append(words.format(f"{value:,.0f}" if unit else f"{value:.3f}"))
            values.append(Value(name, value, unit))
    if told:
        until = (
            f", after fitting on outcomes of years up to {row['train_until_year']}" if row["train_until_year"] else ""
        )
        if row["train_until_year"]:
            values.append(Value("train_until_year", row["train_until_year"], "year"))
        text = f"In its test it had {', '.join(told)}{until}."
        facts.append(Fact(text, "ops.promotions", key, tuple(values), None, row["promoted_at"]))
    return facts


def promotions(marts: Marts, model: Model = "fvi_viability", limit: int = 5) -> list[Fact]:
    """The newest decisions on versions of a model: promoted, refused, rolled back, and why."""
    rows = marts.rows(
        "select * from ops.promotions where model_name = %s order by promoted_at desc limit %s",
        [model, max(1, min(limit, 20))],
    )
    if not rows:
        raise NoSuchFactError(f"There is no decision on {model} yet.")
    return [
        Fact(
            f"Version {row['version']} of {model} was {row['decision'].replace('_', ' ')} on "
            f"{row['promoted_at'].date().isoformat()}: {row['reason'].rstrip('.')}.",
            "ops.promotions",
            {"model_name": model, "promoted_at": row["promoted_at"].isoformat()},
            (Value("version", row["version"]), Value("promoted_at", row["promoted_at"].date().isoformat())),
            None,
            row["promoted_at"],
        )
        for row in rows
    ]


def weights(marts: Marts, metric: str | None = None, limit: int = 5) -> list[Fact]:
    """The dynamic weights of the index's metrics in force, the largest first, or that of one metric."""
    rows = marts.rows(
        "select * from mart.fvi_weights where night = (select max(night) from mart.fvi_weights) "
        "and (%(metric)s::text is null or metric = %(metric)s) order by weight desc, metric limit %(limit)s",
        {"metric": metric, "limit": max(1, min(limit, 50))},
    )
    if not rows:
        raise NoSuchFactError(f"There is no weight of {metric}." if metric else "There are no weights yet.")
    facts = []
    for row in rows:
        gain = row["information_gain"]
        why = f"data quality {row['quality']:.2f}" + ("" if gain is None else f", information gain {gain:.3f}")
        who = f" It was set by {row['override_author']}: {row['override_reason']}." if row["override_author"] else ""
        facts.append(
            Fact(
                f"The weight of {row['metric']} in the index is {100 * row['weight']:.1f}% ({why}), as of the night of "
                f"{row['night'].isoformat()}.{who}",
                "mart.fvi_weights",
                {"metric": row["metric"], "night": row["night"].isoformat()},
                (
                    Value("weight", row["weight"], "share"),
                    Value("quality", row["quality"]),
                    Value("information_gain", gain),
                    Value("night", row["night"].isoformat()),
                ),
                None,
                row["computed_at"],
            )
        )
    return facts


def meaning(marts: Marts) -> list[Fact]:
    """What the FVI score and its interval are, in the words that their table carries."""
    row = marts.row(
        """
        select obj_description('mart.fvi_scores'::regclass) as score, (
            select col_description(attrelid, attnum) from pg_attribute
            where attrelid = 'mart.fvi_scores'::regclass and attname = 'interval_low') as interval
        """
    )
    if row is None or not row["score"]:
        raise NoSuchFactError("The table of the scores carries no description.")
    told = [str(said).partition(". ")[0].rstrip(".") for said in (row["score"], row["interval"]) if said]
    return [Fact(f"{said}.", "mart.fvi_scores", {}, (Value("description", said),)) for said in told]


def metric(marts: Marts, name: str) -> list[Fact]:
    """What a feature or metric is: its description and unit, from the catalogue."""
    row = marts.row("select * from mart.feature_catalogue where feature = %s", [name])
    if row is None:
        raise NoSuchFactError(f"There is no feature {name} in the catalogue.")
    unit = f" Its unit: {row['unit']}." if row["unit"] else ""
    return [
        Fact(
            f"{name}: {row['description'].rstrip('.')}.{unit}",
            "mart.feature_catalogue",
            {"feature": name},
            (),
            None,
            row["measured_at"],
        )
    ]


def data_age(marts: Marts) -> list[Fact]:
    """How new the data is: the newest year of the panel and when it became known, the newest scoring."""
    row = marts.row(
        "select max(as_of_year) as as_of_year, max(scored_at) as scored_at from mart.fvi_scores having count(*) > 0"
    )
    if row is None:
        raise NoSuchFactError("There are no scores yet.")
    known = marts.row(
        "select max(known_at) as known_at from silver.silver_mine_metrics where as_of_year = %s", [row["as_of_year"]]
    )
    became = f", which became known on {known['known_at'].date().isoformat()}" if known and known["known_at"] else ""
    values = [Value("as_of_year", row["as_of_year"], "year"), Value("scored_at", row["scored_at"].date().isoformat())]
    if known and known["known_at"]:
        values.append(Value("known_at", known["known_at"].date().isoformat()))
    return [
        Fact(
            f"The newest year of the scores is {row['as_of_year']}{became}; the scores were made on "
            f"{row['scored_at'].date().isoformat()}.",
            "mart.fvi_scores",
            {"as_of_year": row["as_of_year"]},
            tuple(values),
            row["as_of_year"],
            row["scored_at"],
        )
    ]
