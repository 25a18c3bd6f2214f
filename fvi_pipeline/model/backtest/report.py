"""A comparison as text: the table for the terminal, Dagster and MLflow, and the page of docs/model_comparison.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from fvi_pipeline.model.backtest.comparison import FOLD, HIGHER_IS_BETTER, MEASURES, Comparison
from fvi_pipeline.model.backtest.pictures import AUC_BY_ORIGIN, CALIBRATION, DIFFERENCES, write_pictures
from fvi_pipeline.model.backtest.rivals import descriptions
from fvi_pipeline.model.backtest.store import PRODUCT
from fvi_pipeline.model.dataset import HORIZON

COMMAND = "fvi backtest --write-docs"
PAGE = "model_comparison.md"
HEADERS: Mapping[str, str] = {
    "auc": "AUC",
    "closure_average_precision": "average precision of closure",
    "brier": "Brier",
    "log_loss": "log loss",
    "calibration_error": "calibration error",
}
_WORSE, _BETTER = "▼", "▲"


def table_rows(comparison: Comparison) -> list[list[str]]:
    """One line per horizon and model: horizon, model, rows, folds and the measures over the folds.

    A measure of a rival carries a mark when it is worse (▼) or better (▲) than the product's beyond the noise.
    """
    return [
        [str(row[HORIZON]), row["model"], f"{row['rows']:,}", str(row["folds"]), *_marked(comparison, row, None)]
        for row in comparison.by_horizon.iter_rows(named=True)
    ]


def table_header() -> list[str]:
    """The header of `table_rows`."""
    return ["horizon", "model", "rows", "folds", *HEADERS.values()]


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown, numbers to the right."""
    align = [":---" if name in ("model", "measure", "held") else "---:" for name in header]
    return "\n".join("| " + " | ".join(line) + " |" for line in (header, align, *rows))


def comparison_table(comparison: Comparison) -> str:
    """The table over all folds, in Markdown."""
    return markdown_table(table_header(), table_rows(comparison))


def write_docs(comparison: Comparison, predictions: pl.DataFrame, folder: Path) -> list[Path]:
    """Write the page into `folder` and its pictures into `folder`/pictures.

    `predictions` are those that the comparison was made from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / PAGE
    page.write_text(_page(comparison, predictions))
    return [page, *write_pictures(comparison, predictions, folder / "pictures")]


def _page(comparison: Comparison, predictions: pl.DataFrame) -> str:
    policy = comparison.policy
    share = f"{policy.confidence:.0%}"
    tested = predictions.select(first=pl.col("as_of_year").min(), last=pl.col("as_of_year").max()).row(0)
    return f"""# The model beside simpler ones

Made by `{COMMAND}` from the folds in the marts (as-of years {tested[0]} to {tested[1]}); do not edit. `fvi backtest`
prints the first table.

Every number is of as-of years that the fit has not seen. For each origin T a model is fitted, tuned and calibrated on
outcomes of years up to T and tested on the five as-of years after T whose outcome is known. The origins are
{_listed(comparison.folds)}. The rivals are fitted on the same rows and answer for the same rows. The fold of the served
T is the served model itself; the others repeat its procedure with fewer trials. How the choice of the model was kept
from these folds is in [decision 30](decisions/0030-folds-and-how-the-choice-is-kept-from-them.md).

| model | what it is |
|:---|:---|
| {PRODUCT} | the product: one LightGBM over all horizons, monotone in the horizon, tuned and calibrated |
{_described(comparison)}

## Over all folds
Each fold counts by its rows. {_WORSE}: worse than the product beyond the noise, {_BETTER}: better ({share} interval of
the paired difference, {policy.draws} draws of whole mines). The calibration error has no interval.

{comparison_table(comparison)}

![Differences to the product](pictures/{DIFFERENCES})

### Differences to the product
Model less product, with the {share} interval.

{_difference_table(comparison, None)}
{_served_fold(comparison)}
## Calibration of the product
Expected calibration error over tenths of the rows of a fold and horizon. It is {held_in_words(comparison)}.

{markdown_table(["fold, T", "horizon", "rows", "calibration error", "held"], _calibration_rows(comparison))}

![Calibration](pictures/{CALIBRATION})

## By origin
![AUC by origin](pictures/{AUC_BY_ORIGIN})

<details><summary>Every model in every fold</summary>

{markdown_table(["fold, T", *table_header()[:3], "viable share", *HEADERS.values()], _fold_rows(comparison))}

</details>
"""


def _described(comparison: Comparison) -> str:
    described = descriptions()
    return "\n".join(f"| {name} | {described.get(name, '')} |" for name in comparison.rivals)


def _served_fold(comparison: Comparison) -> str:
    until = comparison.served_until_year
    if until not in comparison.folds:
        return ""
    rows = comparison.by_fold.filter(pl.col(FOLD) == until).sort(HORIZON, maintain_order=True)
    lines = [
        [
            str(row[HORIZON]),
            row["model"],
            f"{row['rows']:,}",
            _figure(row["viable_share"]),
            *_marked(comparison, row, until),
        ]
        for row in rows.iter_rows(named=True)
    ]
    return f"""
## The served model
The fold of T = {until} alone: the registered model's own predictions of the as-of years from {until + 1} on.

{markdown_table(["horizon", "model", "rows", "viable share", *HEADERS.values()], lines)}

{_difference_table(comparison, until)}
"""


def _marked(comparison: Comparison, row: Mapping[str, Any], until: int | None) -> list[str]:
    """The measures of a row of a table; a rival's with a mark where they differ from the product's beyond the noise."""
    marks = {True: f" {_WORSE}", False: f" {_BETTER}", None: ""}
    return [
        _figure(row[name])
        + (
            marks[comparison.better_beyond_noise(row["model"], row[HORIZON], name, until)]
            if name in HIGHER_IS_BETTER and row["model"] != PRODUCT
            else ""
        )
        for name in MEASURES
    ]


def _difference_table(comparison: Comparison, until: int | None) -> str:
    rows = []
    for horizon in comparison.horizons:
        for model in comparison.rivals:
            found = [comparison.difference(model, horizon, name, until) for name in HIGHER_IS_BETTER]
            cells = ["-" if d is None else f"{d[0]:+.4f} ({d[1]:+.4f} to {d[2]:+.4f})" for d in found]
            if any(cell != "-" for cell in cells):
                rows.append([str(horizon), model, *cells])
    return markdown_table(["horizon", "model", *(HEADERS[name] for name in HIGHER_IS_BETTER)], rows)


def _calibration_rows(comparison: Comparison) -> list[list[str]]:
    return [
        [
            str(row[FOLD]),
            str(row[HORIZON]),
            f"{row['rows']:,}",
            _figure(row["calibration_error"]),
            "yes" if row["holds"] else "**no**",
        ]
        for row in comparison.calibration().sort(FOLD, HORIZON).iter_rows(named=True)
    ]


def held_in_words(comparison: Comparison) -> str:
    """In how many folds and horizons with enough rows the calibration error is small enough."""
    held, policy = comparison.calibration(), comparison.policy
    return (
        f"at most {policy.largest_calibration_error} in {int(held['holds'].sum())} of the {held.height} with "
        f"{policy.calibration_rows:,} rows or more"
    )


def _fold_rows(comparison: Comparison) -> list[list[str]]:
    ordered = comparison.by_fold.sort(FOLD, HORIZON, maintain_order=True)
    return [
        [
            str(row[FOLD]),
            str(row[HORIZON]),
            row["model"],
            f"{row['rows']:,}",
            _figure(row["viable_share"]),
            *(_figure(row[name]) for name in MEASURES),
        ]
        for row in ordered.iter_rows(named=True)
    ]


def _listed(years: Sequence[int]) -> str:
    return ", ".join(map(str, years))


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def flat_metrics(comparison: Comparison) -> dict[str, float]:
    """Numbers by name, such as `fvi_viability_auc_h3`, for MLflow."""
    numbers = {
        f"{row['model']}_{name}_h{row[HORIZON]}": row[name]
        for row in comparison.by_horizon.iter_rows(named=True)
        for name in MEASURES
    }
    held = comparison.calibration()
    numbers |= {"calibration_folds": float(held.height), "calibration_folds_held": float(held["holds"].sum())}
    return {name: float(value) for name, value in numbers.items() if value is not None}


def as_csv(comparison: Comparison) -> dict[str, pl.DataFrame]:
    """The three tables by file name."""
    return {
        "by_horizon.csv": comparison.by_horizon,
        "by_fold.csv": comparison.by_fold,
        "differences.csv": comparison.differences,
    }
