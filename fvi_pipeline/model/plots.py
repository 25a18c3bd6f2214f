"""Pictures of a challenger for the model registry. Numbers belong in `evaluation`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fvi_pipeline.model.challenger import Challenger
from fvi_pipeline.model.intervals import quantile_bins


def write_plots(challenger: Challenger, folder: Path) -> list[Path]:
    """Write calibration.png (test rows, a line per horizon) and feature_importance.png into `folder`."""
    # a Figure of its own: pyplot would keep global state and look for a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    calibration, importance = folder / "calibration.png", folder / "feature_importance.png"

    figure = Figure(figsize=(6, 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="predicted probability", ylabel="share still producing")
    axes.set_title(f"Calibration on as-of years after {challenger.split.train_until_year}")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    test = challenger.split.test
    for horizon in test.horizons:
        of_horizon = test.horizon_years == horizon
        predicted, viable = challenger.test_probability[of_horizon], test.viable[of_horizon]
        bins = list(quantile_bins(predicted, maximum_bins=10, minimum_rows=30))
        axes.plot(
            [predicted[rows].mean() for rows in bins],
            [viable[rows].mean() for rows in bins],
            marker="o",
            label=f"{horizon} {'year' if horizon == 1 else 'years'} ({of_horizon.sum():,} rows)",
        )
    axes.legend()
    figure.savefig(calibration, dpi=100)

    ranked = sorted(challenger.importance.items(), key=lambda item: item[1])[-25:]
    figure = Figure(figsize=(7, 7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="share of all gain")
    axes.set_title("Feature importance")
    total = sum(challenger.importance.values()) or 1.0
    axes.barh([name for name, _ in ranked], np.array([gain for _, gain in ranked]) / total)
    figure.savefig(importance, dpi=100)
    return [calibration, importance]
