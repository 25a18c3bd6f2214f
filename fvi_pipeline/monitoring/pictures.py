"""Tables and pictures of drift for the asset's page. What has drifted is measured in `drift`."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

from fvi_pipeline.monitoring.drift import LARGE_PSI, MODERATE_PSI, Drift
from fvi_pipeline.monitoring.year_drift import Move, YearDrift

_SHOWN = 20
_LEAST_SHOWN = 0.01
_COLOURS = {"stable": "#1a7f37", "moderate": "#bf8700", "large": "#cf222e"}


def most_moved(moves: Iterable[Move], shown: int = _SHOWN) -> list[Drift]:
    """Those judged by mines that moved most, first the largest index."""
    drifts = [each for each in moves if isinstance(each, Drift)]
    return sorted(drifts, key=lambda each: (-each.psi, each.feature))[:shown]


def drift_table(moves: Iterable[Move]) -> str:
    """The features that moved most as a Markdown table, and below it what all mines of a year share."""
    listed = list(moves)
    lines = ["| feature | level | PSI | by chance | of a training year | KS | outside of training |", "|---" * 7 + "|"]
    for each in most_moved(listed):
        figures = [f"{value:.3f}" for value in (each.psi, each.psi_by_chance, each.psi_of_years)]
        figures += ["" if value is None else f"{value:.2f}" for value in (each.ks, each.outside)]
        lines.append(f"| {' | '.join([each.feature, each.level, *figures])} |")
    shared = sorted((each for each in listed if isinstance(each, YearDrift) and each.years), key=_furthest)
    if shared:
        lines += ["", "| one value a year | level | value | least of training | largest | deviations outside |"]
        lines.append("|---" * 6 + "|")
        lines += [_year_line(each) for each in shared]
    return "\n".join(lines)


def drift_picture(moves: Iterable[Move], title: str) -> bytes:
    """The same as a picture (PNG): a bar per feature, with the thresholds."""
    # a Figure of its own: pyplot would keep global state and look for a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = most_moved(moves)[::-1]
    figure = Figure(figsize=(8, 1 + 0.28 * max(len(shown), 4)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="population stability index (lines: 0.1 and 0.25)", xscale="log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_title(title, fontsize="medium")
    axes.barh(
        [each.feature for each in shown],
        [max(each.psi, _LEAST_SHOWN) for each in shown],
        color=[_COLOURS[each.level] for each in shown],
    )
    axes.set_xlim(left=_LEAST_SHOWN)
    for threshold in (MODERATE_PSI, LARGE_PSI):
        axes.axvline(threshold, color="grey", linewidth=1, linestyle="--")
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=80)
    return written.getvalue()


def as_markdown(picture: bytes, title: str) -> str:
    """A PNG inside a Markdown text, as the Dagster UI shows it."""
    words = " ".join(title.split())
    return f"![{words}](data:image/png;base64,{base64.b64encode(picture).decode()})"


def _furthest(move: YearDrift) -> tuple[float, str]:
    return (1.0 if move.by_chance is None else move.by_chance, move.feature)


def _year_line(move: YearDrift) -> str:
    values = [value for _, value in move.years]
    figures = [move.value, min(values), max(values), move.beyond]
    return f"| {' | '.join([move.feature, move.level, *('' if v is None else f'{v:.4g}' for v in figures)])} |"
