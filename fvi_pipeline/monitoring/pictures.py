"""Tables and pictures of drift for the asset's page. What has drifted is measured in `drift`."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable

from fvi_pipeline.monitoring.drift import LARGE_PSI, MODERATE_PSI, Drift

_SHOWN = 20
_LEAST_SHOWN = 0.01
_COLOURS = {"stable": "#1a7f37", "moderate": "#bf8700", "large": "#cf222e"}


def most_moved(drifts: Iterable[Drift], shown: int = _SHOWN) -> list[Drift]:
    """Those that moved most, first the largest index."""
    return sorted(drifts, key=lambda each: (-each.psi, each.feature))[:shown]


def drift_table(drifts: Iterable[Drift]) -> str:
    """The features that moved most as a Markdown table."""
    lines = ["| feature | level | PSI | by chance | KS | outside of training |", "|---" * 6 + "|"]
    for each in most_moved(drifts):
        figures = [f"{each.psi:.3f}", f"{each.psi_by_chance:.3f}"]
        figures += ["" if value is None else f"{value:.2f}" for value in (each.ks, each.outside)]
        lines.append(f"| {' | '.join([each.feature, each.level, *figures])} |")
    return "\n".join(lines)


def drift_picture(drifts: Iterable[Drift], title: str) -> bytes:
    """The same as a picture (PNG): a bar per feature, with the thresholds."""
    # a Figure of its own: pyplot would keep global state and look for a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = most_moved(drifts)[::-1]
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
