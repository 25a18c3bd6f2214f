"""docs/index.md: the index, its metrics and its weights for people who read. What a metric is follows from the dbt
project's description; how well the weights work is measured and stands on a page of its own (`separation_report`).
"""

from __future__ import annotations

from pathlib import Path

from fvi_pipeline.features.catalogue import PILLARS, Catalogue, IndexMetric
from fvi_pipeline.weights.dynamic_weights import HIGHEST, LOWEST, OLD_SHARE
from fvi_pipeline.weights.history import GAIN_HORIZON_YEARS, GAIN_YEARS

PATH = "docs/index.md"
_TEMPLATE = Path(__file__).with_name("index_page.md")


def index_page(catalogue: Catalogue) -> str:
    """The document."""
    metrics = catalogue.index_metrics()
    tables = []
    for pillar in PILLARS:
        of_pillar = [metric for metric in metrics if metric.pillar == pillar]
        rows = "\n".join(map(_row, of_pillar))
        header = "| metric | what it is | unit | better | base weight | read from |\n|---|---|---|---|---|---|"
        tables.append(f"### {pillar.capitalize()}\n{catalogue.pillar_questions[pillar]}\n\n{header}\n{rows}")
    return _TEMPLATE.read_text(encoding="utf-8").format(
        metrics=len(metrics),
        pillars=len(PILLARS),
        tables="\n\n".join(tables),
        old=OLD_SHARE,
        new=round(1 - OLD_SHARE, 10),
        lowest=LOWEST,
        highest=HIGHEST,
        horizon=GAIN_HORIZON_YEARS,
        years=GAIN_YEARS,
    )


def _row(metric: IndexMetric) -> str:
    better = "more" if metric.higher_is_better else "less"
    sources = ", ".join(f"`{source}`" for source in metric.sources)
    cells = (f"`{metric.name}`", metric.description, metric.unit, better, f"{metric.base_weight:g}", sources)
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
