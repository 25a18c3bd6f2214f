"""Pictures of segments: the mines on their two principal components, and the silhouette of each number of segments."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fvi_pipeline.segments.fit import NumberTried, SegmentFit
from fvi_pipeline.segments.scaling import FloatArray

_NAMED = 3
_COLOURS = "tab10"


@dataclass(frozen=True)
class Components:
    """The mines on the first two principal components of their scaled features [n, 2], the part of the variance that
    each holds, and the features that it is made of most, with the sign of their part.
    """

    places: FloatArray
    explained: tuple[float, float]
    made_of: tuple[tuple[str, ...], tuple[str, ...]]


def components(fit: SegmentFit) -> Components:
    """The plane on which the mines lie farthest apart; with one feature there is one axis."""
    from sklearn.decomposition import PCA

    count = min(2, len(fit.features))
    found = PCA(count, svd_solver="full").fit(fit.scaled)
    places = np.zeros((len(fit.scaled), 2))
    places[:, :count] = found.transform(fit.scaled)
    explained = [*map(float, found.explained_variance_ratio_), 0.0]
    made_of = [_largest(weights, fit.features) for weights in found.components_] + [()]
    return Components(places, (explained[0], explained[1]), (made_of[0], made_of[1]))


def components_picture(fit: SegmentFit, names: Mapping[int, str], title: str) -> bytes:
    """The mines as dots (PNG), coloured by segment, on the two components."""
    found = components(fit)
    figure, axes = _figure((9, 6.5))
    axes.set_title(title, fontsize="medium")
    segments = fit.mines["segment"].to_numpy()
    for number, name in sorted(names.items()):
        of_segment = found.places[segments == number]
        axes.scatter(*of_segment.T, s=14, alpha=0.75, label=f"{number}  {name} ({len(of_segment)})")
    for axis, words, explained in (
        (axes.xaxis, found.made_of[0], found.explained[0]),
        (axes.yaxis, found.made_of[1], found.explained[1]),
    ):
        axis.set_label_text(f"{explained:.0%} of the variance\n{', '.join(words)}", fontsize="small")
    axes.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False)
    return _png(figure)


def silhouette_picture(tried: Sequence[NumberTried], taken: int, title: str) -> bytes:
    """The mean silhouette of each number of segments (PNG), the one that was taken marked."""
    figure, axes = _figure((6, 3.5))
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("number of segments")
    axes.set_ylabel("mean silhouette")
    numbers = [each.segments for each in tried]
    axes.plot(numbers, [each.silhouette for each in tried], color="grey", marker="o")
    refused = [each for each in tried if not each.is_allowed]
    axes.plot(
        [each.segments for each in refused],
        [each.silhouette for each in refused],
        linestyle="none",
        marker="x",
        markersize=10,
        color="black",
        label="a segment is too small" if refused else None,
    )
    chosen = next(each for each in tried if each.segments == taken)
    axes.plot([taken], [chosen.silhouette], marker="o", markersize=10, color="#1a7f37", label="taken", linestyle="none")
    axes.set_xticks(numbers)
    values = [each.silhouette for each in tried]
    axes.set_ylim(min(0.0, *values), 1.15 * max(values))
    axes.legend(fontsize="small", frameon=False)
    return _png(figure)


def in_markdown(picture: bytes, title: str) -> str:
    """A PNG inside a Markdown text, as the Dagster UI shows it."""
    return f"![{title}](data:image/png;base64,{base64.b64encode(picture).decode()})"


def _largest(weights: FloatArray, features: Sequence[str]) -> tuple[str, ...]:
    order = np.argsort(-np.abs(weights), kind="stable")[:_NAMED]
    return tuple(f"{'+' if weights[place] > 0 else '−'} {features[place].replace('_', ' ')}" for place in order)


def _figure(size: tuple[float, float]) -> tuple[Any, Any]:
    # a Figure of its own: pyplot would keep global state and look for a display
    from matplotlib import color_sequences
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_prop_cycle(color=color_sequences[_COLOURS])
    return figure, axes


def _png(figure: Any) -> bytes:
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=90)
    return written.getvalue()
