"""What moves the scores of a whole cohort, as pictures by the `shap` library: importance and dependence.

They are drawn from contributions as stored, so they show the scores that are served. Where pictures go is not here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN = 20
_DEPENDENCE = 6
_DOTS_PER_INCH = 80
_AXIS = "added to the log-odds of viability"


@dataclass(frozen=True)
class Contributions:
    """The contributions [n, F] of every feature to n scores at one horizon, and the features' values [n, F]."""

    horizon_years: int
    features: tuple[str, ...]
    values: NDArray[np.float64]
    contributions: NDArray[np.float64]

    def importance(self) -> dict[str, float]:
        """The mean size of each feature's contribution, largest first."""
        means = np.abs(self.contributions).mean(axis=0)
        order = np.argsort(-means, kind="stable")
        return {self.features[column]: float(means[column]) for column in order}


def write_explanation_plots(of_cohort: Contributions, title: str, folder: Path) -> list[Path]:
    """Write importance_hN.png (bars), spread_hN.png (a dot per mine) and dependence_hN.png into `folder`."""
    import shap

    folder.mkdir(parents=True, exist_ok=True)
    explanation = shap.Explanation(
        of_cohort.contributions, data=of_cohort.values, feature_names=list(of_cohort.features)
    )
    importance, spread, dependence = (
        folder / f"{name}_h{of_cohort.horizon_years}.png" for name in ("importance", "spread", "dependence")
    )
    height = 1.5 + 0.32 * min(_SHOWN, len(of_cohort.features))
    with _figure(9, height) as figure:
        axes = figure.add_subplot()
        shap.plots.bar(explanation, max_display=_SHOWN, ax=axes, show=False)
        figure.suptitle(title)
        axes.set_xlabel(f"mean size of what is {_AXIS}")
        figure.savefig(importance, dpi=_DOTS_PER_INCH)
    with _figure(9, height) as figure:
        axes = figure.add_subplot()
        shap.plots.beeswarm(
            explanation, max_display=_SHOWN, ax=axes, plot_size=None, show=False, group_remaining_features=False
        )
        figure.suptitle(title)
        axes.set_xlabel(_AXIS)
        figure.savefig(spread, dpi=_DOTS_PER_INCH)
    _write_dependence(explanation, list(of_cohort.importance())[:_DEPENDENCE], title, dependence)
    return [importance, spread, dependence]


def _write_dependence(explanation: Any, features: list[str], title: str, path: Path) -> None:
    import shap
    from matplotlib.ticker import MaxNLocator

    rows = -(-len(features) // 2)
    with _figure(11, 1 + 3.2 * rows) as figure:
        figure.suptitle(f"{title}; dashes on the left: no value")
        for place, feature in enumerate(features, start=1):
            axes = figure.add_subplot(rows, 2, place)
            of_feature = explanation[:, feature]
            is_logarithmic = _spans_magnitudes(of_feature.data)
            if is_logarithmic:
                of_feature.data = np.log10(of_feature.data)  # a scale of the axes would lose what shap draws of nulls
            shap.plots.scatter(of_feature, ax=axes, show=False, hist=False, alpha=0.6)
            axes.set_ylabel("added to the log-odds")
            axes.axhline(0, color="grey", linewidth=1, linestyle="--")
            if is_logarithmic:
                axes.xaxis.set_major_locator(MaxNLocator(integer=True))
                axes.xaxis.set_major_formatter(lambda power, _: f"$10^{{{power:.0f}}}$")
        figure.savefig(path, dpi=_DOTS_PER_INCH)


def _spans_magnitudes(values: NDArray[np.float64]) -> bool:
    known = values[~np.isnan(values)]
    return bool(len(known) and known.min() > 0 and known.max() > 1000 * known.min())


@contextmanager
def _figure(width: float, height: float) -> Iterator[Figure]:
    # shap draws through pyplot, which keeps a figure until it is closed, and spreads dots by numpy's global draws
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    figure = plt.figure(figsize=(width, height), layout="constrained")
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield figure
    finally:
        np.random.set_state(state)
        plt.close(figure)
