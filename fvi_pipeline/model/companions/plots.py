"""Pictures of the companions for the registry: what was predicted for the test rows beside what came."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fvi_pipeline.model.companions.predictor import STATUSES

Floats = NDArray[np.float64]


def plot_production(prediction: Floats, tons: Floats, path: Path) -> None:
    """Median and interval of bins of mines by their median, beside the tons of each mine."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="tight")
    axes = figure.add_subplot()
    low, median, high = prediction.T
    axes.plot(1 + median, 1 + tons, ".", markersize=2, alpha=0.4, label="a mine's next year")
    bins = np.array_split(np.argsort(median, kind="stable"), min(30, len(median)))
    middle = [1 + float(np.median(median[rows])) for rows in bins]
    for bound, name in ((low, "interval"), (high, None)):
        axes.plot(middle, [1 + float(np.median(bound[rows])) for rows in bins], "k--", linewidth=1, label=name)
    axes.plot(middle, middle, "k-", linewidth=1, label="median")
    axes.set(xscale="log", yscale="log", xlabel="predicted short tons + 1", ylabel="produced short tons + 1")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def plot_statuses(prediction: Floats, happened: Floats, path: Path) -> None:
    """For each class the share that came, in bins of the predicted probability."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="tight")
    axes = figure.add_subplot()
    for number, name in enumerate(STATUSES):
        bins = np.array_split(np.argsort(prediction[:, number], kind="stable"), min(10, len(prediction)))
        axes.plot(
            [float(prediction[rows, number].mean()) for rows in bins],
            [float(happened[rows, number].mean()) for rows in bins],
            "o-",
            markersize=3,
            label=name,
        )
    axes.plot([0, 1], [0, 1], "k:", linewidth=1)
    axes.set(xlabel="predicted probability", ylabel="share that came")
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
