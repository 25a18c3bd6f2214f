"""Pictures of the weights' history and of the index's separation. The figures are made elsewhere."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

from fvi_pipeline.weights.separation import BASE, COMPARED, DYNAMIC, EQUAL, GAIN_ALONE, Separated

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LABELLED = 8
_COLOURS = {DYNAMIC: "#0969da", EQUAL: "#57606a", BASE: "#bf8700", GAIN_ALONE: "#1a7f37"}


def history_picture(shares: pl.DataFrame, title: str) -> bytes:
    """A line per metric over the nights (PNG); the heaviest of the newest night are named.

    Args:
        shares: night, metric, weight.
        title: above the picture.
    """
    figure = _figure(9, 5.5)
    axes = figure.add_subplot(ylabel="share")
    axes.set_title(title)
    newest = shares.filter(pl.col("night") == shares["night"].max()).sort("weight", "metric", descending=[True, False])
    for rank, metric in enumerate(newest["metric"]):
        line = shares.filter(pl.col("metric") == metric).sort("night")
        named = rank < _LABELLED
        axes.plot(
            line["night"].to_list(),
            line["weight"].to_list(),
            # one night is a point, which a line would not show
            marker="o" if line.height < 3 else None,
            label=f"{metric} {line['weight'][-1]:.3f}" if named else None,
            color=None if named else "#d0d7de",
            zorder=2 if named else 1,
        )
    axes.set_ylim(bottom=0)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)
    figure.autofmt_xdate()
    return _png(figure)


def separation_picture(measured: Sequence[Separated]) -> bytes:
    """AUC by as-of year for each weighting, and below the differences with their intervals (PNG)."""
    figure = _figure(9, 7)
    above, below = figure.subplots(2, 1, sharex=True)
    years = [each for each in measured if each.first_year == each.last_year]
    for weighting, colour in _COLOURS.items():
        line = [each for each in years if each.weighting == weighting and not each.compared_with]
        above.plot([each.first_year for each in line], [each.auc for each in line], color=colour, label=weighting)
        if weighting == DYNAMIC:
            above.fill_between(
                [each.first_year for each in line],
                [each.low for each in line],
                [each.high for each in line],
                color=colour,
                alpha=0.12,
                linewidth=0,
            )
    above.set(ylabel="AUC, viable three years on", title="The index by its weights, on years that they never saw")
    above.legend(fontsize=8)
    below.axhline(0, color="#57606a", linewidth=1)
    for number, (weighting, rival) in enumerate(COMPARED[:2]):
        bars = [each for each in years if (each.weighting, each.compared_with) == (weighting, rival)]
        shift = 0.3 * (number - 0.5)
        below.errorbar(
            [each.first_year + shift for each in bars],
            [each.auc for each in bars],
            yerr=[[each.auc - each.low for each in bars], [each.high - each.auc for each in bars]],
            fmt="o",
            markersize=3,
            color=_COLOURS[rival],
            label=f"{weighting} less {rival}",
        )
    below.set(xlabel="as-of year", ylabel="difference of AUC")
    below.legend(fontsize=8)
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    # a Figure of its own: pyplot would keep global state and look for a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    # without the version of the library: the same figures give the same bytes
    figure.savefig(buffer, dpi=100, metadata={"Software": ""})
    return buffer.getvalue()
