"""Pictures of a comparison, as PNG files. Numbers belong in `comparison`, what is said about them in `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from fvi_pipeline.model.backtest.comparison import FOLD, Comparison
from fvi_pipeline.model.backtest.store import PRODUCT
from fvi_pipeline.model.dataset import HORIZON
from fvi_pipeline.model.intervals import quantile_bins

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CALIBRATION = "model_calibration.png"
AUC_BY_ORIGIN = "model_auc_by_origin.png"
DIFFERENCES = "model_differences.png"
_COLUMNS = 3


def write_pictures(comparison: Comparison, predictions: pl.DataFrame, folder: Path) -> list[Path]:
    """Write the calibration of the product, the AUC by origin and the differences into `folder`.

    `predictions` are those that the comparison was made from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        CALIBRATION: _calibration(comparison, predictions.filter(pl.col("model") == PRODUCT)),
        AUC_BY_ORIGIN: _auc_by_origin(comparison),
        DIFFERENCES: _difference_plot(comparison),
    }
    for name, figure in figures.items():
        # no creation date and no version in the file: the same numbers give the same picture
        figure.savefig(folder / name, dpi=90, metadata={"Software": None})
    return [folder / name for name in figures]


def _calibration(comparison: Comparison, product: pl.DataFrame) -> Figure:
    figure, panels = _grid(comparison.horizons)
    colours = _colours(len(comparison.folds))
    for horizon, axes in panels.items():
        axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
        for until, colour in zip(comparison.folds, colours, strict=True):
            rows = product.filter(pl.col(HORIZON) == horizon, pl.col(FOLD) == until)
            if rows.is_empty():
                continue
            predicted, viable = rows["viability_probability"].to_numpy(), rows["viable"].to_numpy()
            bins = list(quantile_bins(predicted, maximum_bins=10, minimum_rows=30))
            axes.plot(
                [predicted[b].mean() for b in bins],
                [viable[b].mean() for b in bins],
                marker="o",
                markersize=3,
                linewidth=1,
                color=colour,
                label=f"outcomes to {until}",
            )
        axes.set(title=_years(horizon), xlabel="predicted probability", ylabel="share still producing")
    _legend(figure, panels)
    figure.suptitle("Calibration of the product on as-of years after its fit, in tenths of the rows of a fold")
    return figure


def _auc_by_origin(comparison: Comparison) -> Figure:
    figure, panels = _grid(comparison.horizons)
    models = [PRODUCT, *comparison.rivals]
    for horizon, axes in panels.items():
        for model, colour in zip(models, _colours(len(models)), strict=True):
            rows = comparison.by_fold.filter(pl.col("model") == model, pl.col(HORIZON) == horizon).sort(FOLD)
            ours = model == PRODUCT
            axes.plot(
                rows[FOLD].to_list(),
                rows["auc"].to_list(),
                marker="o",
                markersize=4 if ours else 3,
                linewidth=2.5 if ours else 1,
                color="black" if ours else colour,
                label=model,
                zorder=3 if ours else 2,
            )
        axes.set(title=_years(horizon), xlabel="fitted on outcomes to", ylabel="AUC")
        axes.set_xticks(comparison.folds)
        axes.tick_params(axis="x", rotation=45)
    _legend(figure, panels)
    figure.suptitle("AUC on the as-of years after each origin")
    return figure


def _difference_plot(comparison: Comparison) -> Figure:
    figure = _figure(11, 1 + 0.26 * max(1, len(comparison.rivals)) * len(comparison.horizons))
    measures = (("auc", "AUC, model less product"), ("brier", "Brier score, model less product"))
    labels = [f"{model}, {_years(h)}" for h in comparison.horizons for model in comparison.rivals]
    for place, (measure, title) in enumerate(measures, start=1):
        axes = figure.add_subplot(1, len(measures), place, title=title)
        axes.axvline(0, color="black", linewidth=1)
        for number, (horizon, model) in enumerate((h, m) for h in comparison.horizons for m in comparison.rivals):
            found = comparison.difference(model, horizon, measure)
            if found is not None:
                verdict = comparison.better_beyond_noise(model, horizon, measure)
                colour = {True: "tab:green", False: "tab:red", None: "grey"}[verdict]
                axes.plot(found[1:], [number, number], color=colour, linewidth=2)
                axes.plot(found[0], number, marker="o", markersize=4, color=colour)
        axes.set_yticks(range(len(labels)), labels if place == 1 else [""] * len(labels), fontsize=8)
        axes.invert_yaxis()
        axes.grid(axis="x", linewidth=0.3)
    figure.suptitle("Green: the product is better beyond the noise; red: worse")
    return figure


def _grid(horizons: list[int]) -> tuple[Figure, dict[int, Any]]:
    lines = -(-len(horizons) // _COLUMNS)
    figure = _figure(4 * _COLUMNS, 3.8 * lines)
    return figure, {h: figure.add_subplot(lines, _COLUMNS, place) for place, h in enumerate(horizons, start=1)}


def _figure(width: float, height: float) -> Figure:
    # a Figure of its own: pyplot would keep global state and look for a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _legend(figure: Figure, panels: dict[int, Any]) -> None:
    drawn = [axes.get_legend_handles_labels() for axes in panels.values()]
    handles = {label: handle for found, labels in drawn for handle, label in zip(found, labels, strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", fontsize=8)


def _colours(count: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["viridis"](place) for place in np.linspace(0, 0.9, max(1, count))]


def _years(horizon: int) -> str:
    return "1 year" if horizon == 1 else f"{horizon} years"
