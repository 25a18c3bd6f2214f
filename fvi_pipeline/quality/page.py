"""The quality report as one HTML page: the gate's verdict, the marks beside those of the night before, the files, and
Evidently's part below. Nothing is measured or judged here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from pathlib import Path

from fvi_pipeline.quality.distributions import Distributions
from fvi_pipeline.quality.marks import DIMENSIONS, FileInForce, Finding, MetricMarks

_KEPT_PAGES = 30
_STYLE = """
.fvi { font: 14px/1.5 system-ui, sans-serif; color: #1f2328; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
.fvi h1 { font-size: 1.5rem } .fvi h2 { font-size: 1.15rem; margin-top: 2rem }
.fvi table { border-collapse: collapse; width: 100% } .fvi th { text-align: left; background: #f6f8fa }
.fvi th, .fvi td { border-bottom: 1px solid #d0d7de; padding: .3rem .6rem; vertical-align: top }
.fvi .number { text-align: right; font-variant-numeric: tabular-nums }
.fvi .date { white-space: nowrap }
.fvi .low { background: #ffebe9; font-weight: 600 }
.fvi .verdict { border-left: 6px solid #1a7f37; padding: .5rem 1rem; background: #f6f8fa }
.fvi .verdict.stopped { border-color: #cf222e }
"""


@dataclass(frozen=True)
class Report:
    """All that the page shows; `before` are the marks of the night `night_before`, if there was one."""

    night: date
    floor: float
    marks: Sequence[MetricMarks]
    findings: Sequence[Finding]
    files: Mapping[str, FileInForce]
    night_before: date | None
    before: Sequence[MetricMarks]
    distributions: Distributions | None


def page(report: Report) -> str:
    """The whole page: no other file and no network is needed to read it."""
    title = f"Data quality, night of {report.night.isoformat()}"
    ours = f'<section class="fvi"><h1>{title}</h1>{_verdict(report)}{_marks(report)}{_files(report)}{_moves(report)}'
    ours = f"<style>{_STYLE}</style>{ours}</section>"
    if report.distributions is None:
        return (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
            f"<title>{title}</title></head><body>{ours}</body></html>"
        )
    # Evidently writes a document of its own, scripts included: ours goes on top of it
    return report.distributions.html.replace("<body>", f"<body>{ours}", 1)


def write_page(folder: Path, report: Report) -> Path:
    """Write the page of the night, whole or not at all, and remove those of nights long past."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"quality-{report.night.isoformat()}.html"
    temporary = path.with_suffix(".writing")
    temporary.write_text(page(report), encoding="utf-8")
    temporary.replace(path)
    for old in sorted(folder.glob("quality-*.html"))[:-_KEPT_PAGES]:
        old.unlink()
    return path


def marks_table(marks: Iterable[MetricMarks]) -> str:
    """The marks as a Markdown table, for the asset's metadata."""
    lines = ["| metric | score | weakest | " + " | ".join(DIMENSIONS) + " | mines |", "|---" * 8 + "|"]
    for mark in marks:
        cells = [_figure(getattr(mark, name)) for name in DIMENSIONS]
        score = "" if mark.score is None else f"{mark.score:.0f}"
        lines.append(f"| {mark.metric} | {score} | {mark.weakest or ''} | {' | '.join(cells)} | {mark.rows:,} |")
    return "\n".join(lines)


def _verdict(report: Report) -> str:
    if not report.findings:
        return f'<p class="verdict">Every metric has {report.floor:.0f} of 100 or more: training goes on.</p>'
    items = "".join(f"<li>{escape(str(finding))}</li>" for finding in report.findings)
    return (
        f'<div class="verdict stopped"><p>{len(report.findings)} metric(s) below {report.floor:.0f} of 100: nothing is '
        f"trained on these data. The champion goes on reigning.</p><ul>{items}</ul></div>"
    )


def _marks(report: Report) -> str:
    before = {mark.metric: mark for mark in report.before}
    heads = ["metric", "score", "change", *DIMENSIONS, "usual completeness", "quality", "mines"]
    rows = []
    for mark in report.marks:
        cells = [f"<td>{escape(mark.metric)}</td>", _score_cell(mark, report.floor), _change(mark, before)]
        for name in DIMENSIONS:
            value = mark.mark(name)
            low = value is not None and value * 100 < report.floor
            cells.append(_cell(_figure(getattr(mark, name)), low=low))
        cells += [_cell(_figure(mark.usual_completeness)), _cell(_figure(mark.quality)), _cell(f"{mark.rows:,}")]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    since = (
        "There is no earlier night to compare with."
        if report.night_before is None
        else f"Change: against the night of {report.night_before.isoformat()}."
    )
    return (
        "<h2>Marks of the metrics</h2><p>The score is the least of the quality (the mean of the four) and the four "
        "dimensions, completeness counted as a part of what the publishers usually state. An empty row: no loaded file "
        f"should state the metric. {since}</p><table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>"
        f"{''.join(rows)}</table>"
    )


def _files(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{escape(file.feed)}</td><td>{escape(file.name)}</td><td class='date'>{file.known_since}</td>"
        f"<td>{'<br>'.join(escape(trouble.text) for trouble in file.troubles) or 'none'}</td></tr>"
        for file in report.files.values()
    )
    return (
        "<h2>The newest files behind them</h2><table><tr><th>feed</th><th>file</th><th>known since</th>"
        f"<th>trouble</th></tr>{rows}</table>"
    )


def _moves(report: Report) -> str:
    if report.distributions is None:
        return "<h2>Distributions</h2><p>There are no two years of the panel to compare.</p>"
    moved = ", ".join(report.distributions.moved) or "none"
    return (
        "<h2>Distributions</h2><p>Below, by Evidently: the panel's newest year against the year before it, each as "
        f"first known. Moved by a tenth of a standard deviation or more: {escape(moved)}.</p>"
    )


def _score_cell(mark: MetricMarks, floor: float) -> str:
    return _cell("", low=False) if mark.score is None else _cell(f"{mark.score:.0f}", low=mark.score < floor)


def _change(mark: MetricMarks, before: Mapping[str, MetricMarks]) -> str:
    old = before.get(mark.metric)
    if old is None or old.score is None or mark.score is None:
        return _cell("")
    return _cell(f"{mark.score - old.score:+.0f}")


def _cell(text: str, *, low: bool = False) -> str:
    return f'<td class="number{" low" if low else ""}">{text}</td>'


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
