"""`fvi segments`: what the segments of mines are like, and why a mine is in its own. Finding them belongs to
`segments`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import psycopg
    from rich.console import Console

    from fvi_pipeline.segments.of_mine import MineSegment

_SHOWN = 8
_BETWEEN = 0.9
"""A mine that is nearly as far from its own centre as from the next one lies between both."""
_TRAITS = 6
_WIDTH_OF_FILES = 140


def segments(
    mine_id: Annotated[
        str | None, typer.Argument(help="A mine such as msha:4801353; without it, all segments.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="Find the segments in gold anew and write docs/segments.md.")
    ] = False,
) -> None:
    """Show the segments of like mines with their profiles, or a mine's segment and what speaks for it."""
    from rich.console import Console

    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings
    from fvi_pipeline.segments.of_mine import segment_of_mine

    if write_docs and (mine_id is not None or as_json):
        raise typer.BadParameter("--write-docs writes the page of all segments: it goes with neither MINE nor --json.")
    out = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
    with running_servers(get_settings()) as servers, connect(servers.database_url) as connection:
        if write_docs:
            _write_docs(connection, out)
        elif mine_id is not None:
            found = segment_of_mine(connection, mine_id)
            if as_json:
                print(json.dumps(_mine_as_json(found), indent=2, default=str))
            else:
                _print_mine(out, found)
        else:
            _all(connection, out, as_json=as_json)


def _all(connection: psycopg.Connection, out: Console, *, as_json: bool) -> None:
    from fvi_pipeline.segments import store

    fit = store.newest_fit(connection)
    profiles, scores = store.newest_profiles(connection), store.mean_scores(connection)
    names = store.mine_names(connection, [mine for profile in profiles for mine in profile["example_mines"]])
    if as_json:
        told = {name: value for name, value in fit.items() if name != "model"}
        of_segments = [
            {
                **profile,
                "states": dict(profile["states"]),
                "mine_types": dict(profile["mine_types"]),
                "example_mines": {mine: names.get(mine) for mine in profile["example_mines"]},
                "mean_scores": scores.get(profile["segment"], {}),
            }
            for profile in profiles
        ]
        print(json.dumps({"fit": told, "segments": of_segments}, indent=2, default=str))
        return
    _print_all(out, fit, profiles, scores, names)


def _print_all(
    out: Console,
    fit: Mapping[str, Any],
    profiles: Sequence[Mapping[str, Any]],
    scores: Mapping[int, Mapping[int, float]],
    names: Mapping[str, str],
) -> None:
    from rich.table import Table

    from fvi_pipeline.segments.profile import label, shown
    from fvi_pipeline.segments.report import strength

    out.print(
        f"[bold]{fit['mines']:,} mines of the cohort of {fit['as_of_year']} in {fit['segments']} segments[/], by "
        f"{len(fit['features'])} features, as found on {fit['created_timestamp']:%Y-%m-%d}"
    )
    silhouette, stability = fit["silhouette"], fit["stability"]
    out.print(
        f"{strength(silhouette, stability).capitalize()}: mean silhouette {silhouette:.2f}, stability {stability:.2f}. "
        "They are context for people; no model reads them."
    )
    for profile in profiles:
        out.print(
            f"\n[bold cyan]{profile['segment']}. {profile['segment_name']}[/]: {profile['mines']:,} mines "
            f"({profile['share']:.0%})"
        )
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name, justify in (("what sets it apart", "left"), ("segment", "right"), ("all mines", "right")):
            table.add_column(name, justify="right" if justify == "right" else "left", no_wrap=True)
        table.add_column("above others", justify="right", no_wrap=True)
        for trait in profile["traits"][:_TRAITS]:
            table.add_row(
                f"  {label(trait['feature'], trait['unit'])}",
                shown(trait["of_segment"], trait["unit"]),
                shown(trait["of_cohort"], trait["unit"]),
                "" if trait["more"] is None else f"{trait['more']:.0%}",
            )
        out.print(table)
        out.print(f"  states: {_counts(profile['states'])}; types: {_counts(profile['mine_types'])}")
        examples = [f"{names[mine]} ({mine})" if mine in names else mine for mine in profile["example_mines"][:3]]
        out.print(f"  nearest to its centre: {', '.join(examples)}", markup=False)
        for line in (_past(profile["past"]), _scores(scores.get(profile["segment"], {}))):
            if line:
                out.print(f"  {line}")


def _mine_as_json(found: MineSegment) -> dict[str, Any]:
    return {
        **found.row,
        "mine_name": found.mine_name,
        "a_year_before": found.a_year_before,
        "reasons": [
            {
                "feature": reason.feature,
                "value": reason.value,
                "unit": reason.unit,
                "of_segment": reason.of_segment,
                "of_next": reason.of_next,
                "speaks_for": reason.speaks_for,
            }
            for reason in found.reasons
        ],
    }


def _print_mine(out: Console, found: MineSegment) -> None:
    from rich.table import Table

    from fvi_pipeline.segments.profile import label, shown

    row = found.row
    out.print(f"[bold]{row['mine_id']}[/] {found.mine_name or ''}, cohort of {row['as_of_year']}")
    out.print(
        f"Segment {row['segment']}, [bold]{row['segment_name']}[/]; next is {row['next_segment']}, "
        f"{row['next_segment_name']}"
    )
    if found.a_year_before is not None:
        is_same = found.a_year_before == row["segment_name"]
        out.print(f"A year before: {'the same kind' if is_same else found.a_year_before}")
    out.print(
        f"{_fits(row)}: {row['distance']:.1f} standard deviations from the centre of its segment, "
        f"{row['next_distance']:.1f} from that of the next; silhouette {row['silhouette']:.2f}. "
        f"{row['known_share']:.0%} of the features are known."
    )
    if not found.reasons:
        out.print("Why is told of the newest segments only: this row is of an earlier cohort.")
        return
    table = Table(title="What speaks for the segment, and below 0 for the next one", title_justify="left")
    table.add_column("feature", no_wrap=True)
    for name in ("mine", "its segment", "the next", "speaks for it"):
        table.add_column(name, justify="right", no_wrap=True)
    for reason in found.reasons[:_SHOWN]:
        table.add_row(
            label(reason.feature, reason.unit),
            shown(reason.value, reason.unit),
            shown(reason.of_segment, reason.unit),
            shown(reason.of_next, reason.unit),
            f"{reason.speaks_for:+.2f}",
        )
    rest = found.reasons[_SHOWN:]
    if rest:
        table.add_row(f"{len(rest)} others", "", "", "", f"{sum(each.speaks_for for each in rest):+.2f}", style="dim")
    out.print(table)


def _fits(row: Mapping[str, Any]) -> str:
    if row["distance"] > _BETWEEN * row["next_distance"]:
        return "It lies between two segments"
    return "It is one of its kind"


def _past(past: Sequence[Mapping[str, Any]]) -> str:
    from fvi_pipeline.segments.past import PastViability

    judged = [each for each in map(PastViability.from_dict, past) if each.viable_share is not None]
    if not judged:
        return ""
    told = "; ".join(
        f"{each.in_words} after {each.horizon_years}, of all {each.viable_share_of_all:.0%}" for each in judged
    )
    return f"past mines of the kind, {judged[0].first_year}-{judged[0].last_year}, viable: {told}"


def _scores(scores: Mapping[int, float]) -> str:
    told = ", ".join(f"{score:.0f} at {horizon}" for horizon, score in sorted(scores.items()))
    return f"mean score by horizon in years: {told}" if told else ""


def _counts(counts: Sequence[Sequence[Any]]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts)


def _write_docs(connection: psycopg.Connection, out: Console) -> None:
    from datetime import UTC, datetime

    from fvi_pipeline.features.catalogue import load_catalogue
    from fvi_pipeline.model.training_set import SIZE_FEATURE
    from fvi_pipeline.platform.dbt_manifest import ensure_manifest
    from fvi_pipeline.platform.settings import PROJECT_ROOT, get_settings
    from fvi_pipeline.segments import store
    from fvi_pipeline.segments.fit import SegmentSettings
    from fvi_pipeline.segments.found import find_segments
    from fvi_pipeline.segments.report import write_docs

    settings = get_settings()
    found = find_segments(
        connection,
        load_catalogue(ensure_manifest(settings.dbt_project_dir, settings.home)).features,
        size_feature=SIZE_FEATURE,
        settings=SegmentSettings(seed=settings.seed),
        known_by=datetime.now(UTC),
    )
    names = store.mine_names(connection, [mine for profile in found.profiles for mine in profile.examples])
    for path in write_docs(found, store.mean_scores(connection), names, PROJECT_ROOT / "docs"):
        out.print(f"Written: {path.relative_to(PROJECT_ROOT)}", markup=False)
