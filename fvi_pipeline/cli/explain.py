"""`fvi explain`: why a mine's score is what it is, as a table or as JSON. Reading it belongs to `run.scores`."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fvi_pipeline.features.wording import number

if TYPE_CHECKING:
    from fvi_pipeline.run.scores import ExplainedScore

_SHOWN = 12
_WIDTH_OF_FILES = 140


def explain(
    mine_id: Annotated[str, typer.Argument(help="For example msha:4801353.")],
    horizon: Annotated[int, typer.Option(help="Years from the as-of year: 1, 2, 3, 5, 10 or 20.")] = 5,
    show_all: Annotated[bool, typer.Option("--all", help=f"Every feature, not only the {_SHOWN} strongest.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, every feature included.")] = False,
) -> None:
    """Print a mine's stored score with what each feature adds to it, in words."""
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings
    from fvi_pipeline.run.scores import stored_explanation

    with running_servers(get_settings()) as servers, connect(servers.database_url) as connection:
        explained = stored_explanation(connection, mine_id, horizon)
    if as_json:
        print(json.dumps(_as_json(explained), indent=2, default=str))
    else:
        _print(explained, len(explained.reasons) if show_all else _SHOWN)


def _as_json(explained: ExplainedScore) -> dict[str, Any]:
    return {
        **{name: value for name, value in explained.score.items() if name != "top_features"},
        "base": explained.base,
        "log_odds": explained.log_odds,
        "narrative": explained.narrative,
        "contributions": [
            {
                "feature": reason.feature,
                "value": reason.value,
                "contribution": reason.contribution,
                "in_words": reason.in_words,
            }
            for reason in explained.reasons
        ],
    }


def _print(explained: ExplainedScore, shown: int) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
    score, years = explained.score, explained.score["horizon_years"]
    console.print(f"[bold]{score['mine_id']}[/] {score['mine_name'] or ''}, {score['country'] or 'country not known'}")
    horizon = f"{years} {'year' if years == 1 else 'years'} from {score['as_of_year']}"
    interval = f"interval {score['interval_low']:.1f} to {score['interval_high']:.1f}"
    console.print(f"Score {score['fvi_score']:.1f} of 100, {horizon} ({interval}, version {score['model_version']})")
    if explained.narrative:
        console.print(f"\n{explained.narrative}", markup=False)
    start = f"{explained.base:+.3f}, that is {_score(explained.base)}"
    title = f"What each feature adds to the log-odds; they start from {start}"
    table = Table("feature", "value", "adds", "in words", title=title, title_justify="left")
    table.columns[1].justify = table.columns[2].justify = "right"
    for reason in explained.reasons[:shown]:
        value = "" if reason.value is None else number(reason.value)
        table.add_row(reason.feature, value, f"{reason.contribution:+.3f}", reason.sentence)
    rest = explained.reasons[shown:]
    if rest:
        added = sum(reason.contribution for reason in rest)
        table.add_row(f"{len(rest)} others", "", f"{added:+.3f}", "--all shows them", style="dim")
    table.add_section()
    table.add_row("all together", "", f"{explained.log_odds:+.3f}", f"that is {_score(explained.log_odds)}")
    console.print(table)


def _score(log_odds: float) -> str:
    return f"a score of {100 / (1 + math.exp(-log_odds)):.1f}"
