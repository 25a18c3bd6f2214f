"""Segments as text: the table for the terminal and Dagster, and the page docs/segments.md with its pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fvi_pipeline.segments.found import FoundSegments
from fvi_pipeline.segments.past import PastViability
from fvi_pipeline.segments.pictures import components, components_picture, silhouette_picture
from fvi_pipeline.segments.profile import SegmentProfile, label, shown

COMMAND = "fvi segments --write-docs"
PAGE, PLANE, CURVE = "segments.md", "segments.png", "segments_silhouette.png"
_TRAITS = 8
_STABLE = 0.8
_WEAK, _FAIR = 0.25, 0.5
"""Silhouettes by Kaufman and Rousseeuw (1990): below a quarter perhaps no structure, from a half on there is one."""


def title(found: FoundSegments) -> str:
    """The cohort, the number of its segments and how far they lie apart, in a sentence."""
    silhouette, stability = found.fit.silhouette, found.fit.stability
    return (
        f"{found.cohort.height:,} mines of the cohort of {found.as_of_year} in {len(found.profiles)} segments; "
        f"{strength(silhouette, stability)} (mean silhouette {silhouette:.2f}, stability {stability:.2f})"
    )


def strength(silhouette: float, stability: float) -> str:
    """What a mean silhouette and a stability say."""
    if silhouette < _WEAK:
        apart = "the segments run into each other"
    else:
        apart = (
            "the segments are apart, with mines between them" if silhouette < _FAIR else "the segments are well apart"
        )
    return apart if stability >= _STABLE else f"{apart}, and a part of the mines makes others"


def past_in_words(past: Sequence[PastViability]) -> str:
    """`52% (48-56%) after 5 years (all 40%)` for the longest horizon; empty without a past."""
    judged = [each for each in past if each.viable_share is not None]
    if not judged:
        return ""
    longest = max(judged, key=lambda each: each.horizon_years)
    years = "a year" if longest.horizon_years == 1 else f"{longest.horizon_years} years"
    return f"{longest.in_words} after {years} (all {longest.viable_share_of_all:.0%})"


def profile_table(profiles: Sequence[SegmentProfile], past: Mapping[int, Sequence[PastViability]]) -> str:
    """The segments as a Markdown table."""
    lines = [
        "| segment | name | mines | share | what sets it apart | viable, past mines of the kind |",
        "|---" * 6 + "|",
    ]
    for each in profiles:
        cells = [str(each.segment), each.name, f"{each.mines:,}", f"{each.share:.0%}", each.in_words]
        lines.append(f"| {' | '.join([*cells, past_in_words(past.get(each.segment, ()))])} |")
    return "\n".join(lines)


def write_docs(
    found: FoundSegments, scores: Mapping[int, Mapping[int, float]], names: Mapping[str, str], folder: Path
) -> list[Path]:
    """Write the page into `folder` and its pictures into `folder`/pictures.

    Args:
        found: the segments.
        scores: mean scores by segment and horizon.
        names: of the example mines.
        folder: of the documents.
    """
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    of_segment = {profile.segment: profile.name for profile in found.profiles}
    plane, curve, page = pictures / PLANE, pictures / CURVE, folder / PAGE
    plane.write_bytes(components_picture(found.fit, of_segment, f"Mines of the cohort of {found.as_of_year}"))
    curve.write_bytes(silhouette_picture(found.fit.tried, len(of_segment), "Mean silhouette by number of segments"))
    page.write_text(_page(found, scores, names))
    return [page, plane, curve]


def _page(found: FoundSegments, scores: Mapping[int, Mapping[int, float]], names: Mapping[str, str]) -> str:
    fit, plane = found.fit, components(found.fit)
    missing = ", ".join(f"`{name}` of {count}" for name, count in found.missing.items()) or "nothing"
    sections = "\n\n".join(
        _section(profile, found.past.get(profile.segment, ()), scores.get(profile.segment, {}), names)
        for profile in found.profiles
    )
    return f"""# Segments of mines

Made by `{COMMAND}`; do not edit. Which mines are alike today, for people who think in kinds of mines:
a lender with twelve loans to one kind, a ministry that looks for the next closures. **No model reads the segments**
([why, and how the method was chosen](decisions/0040-segments-are-context.md)).

| where | what |
|---|---|
| `mart.mine_segments` | the segment of every mine of a cohort, by fit; the newest: `mart.current_mine_segments` |
| `mart.segment_profiles` | what each segment is like |
| `mart.segment_fits` | how they were found: features, silhouettes, scaling and centres |
| view `mine_segment` in Feast | the same online, and as of a date |
| `fvi segments` | the profiles; `fvi segments MINE`: a mine's segment and what speaks for it; `--json` |
| `fvi features MINE` | names the segment beside the features |

## How they are found
- **Features**: by rule. A feature of the catalogue counts when it says what the mine itself is: computed from its own
  facts of the year or of its whole past. Not what neighbours, the owner's other mines and markets do, nor changes from
  one year to the next; nor what is missing for more than 30 % of the mines, is the same for all, or ranks the mines as
  an earlier feature does (Spearman 0.9). `mart.segment_fits.left_out` has the reasons.
  Here {len(fit.features)} count:
  {", ".join(f"`{name}`" for name in fit.features)}.
- **Scale**: the power of Yeo and Johnson takes out each feature's skew; then it has mean 0 and deviation 1, and what is
  beyond 3 deviations counts as 3.
- **Missing values** count as the cohort's median; `known_share` says what part of a mine's values are its own. Missing
  here, in mines: {missing}.
- **Segments**: k-means from ten starts, seeded by `FVI_SEED`, for 2 to 10 segments. The number with the largest mean
  silhouette is taken, among those whose smallest segment holds at least 3 % of the mines. Segment 1 has the largest
  median production. The same mines give the same segments and numbers, in whatever order they come.
- **Names** follow from the profile by rule: the size, and the two traits that set the segment apart most.
- **Time**: a row holds since `created_timestamp`, when it was computed. A run that finds the same adds nothing. A mine
  that has left the cohort gets a row without a segment.

## What came out
{title(found)}.
Stability is the mean adjusted Rand index with segments made from four fifths of the mines: 1 when they are the same. A
silhouette below 0.25 means that there is no gap between the kinds: they are a way to speak of the mines, and many a
mine is nearly in the next one (`next_segment`, `silhouette`).

![Mean silhouette by number of segments](pictures/{CURVE})

| segments | mean silhouette | smallest | could be taken |
|---:|---:|---:|---|
{_tried(found)}

![Mines on two principal components](pictures/{PLANE})

The axes hold {plane.explained[0]:.0%} and {plane.explained[1]:.0%} of the variance.

{sections}

*Above others*: the part of the pairs of a mine of the segment and one outside it of which the first has more; 50 % says
nothing. Medians; for flags the part of the mines. *Past mines of the kind* are rows of earlier cohorts, with what was
first known of them, placed by today's centres. Their outcomes have no part in making the segments, and they lived in
the markets of their years: it is a description, not a forecast. In brackets: the 95 % interval
over whole mines.
"""


def _section(
    profile: SegmentProfile,
    past: Sequence[PastViability],
    scores: Mapping[int, float],
    names: Mapping[str, str],
) -> str:
    traits = "\n".join(
        f"| {label(trait.feature, trait.unit)} | {shown(trait.of_segment, trait.unit)} "
        f"| {shown(trait.of_cohort, trait.unit)} | {'' if trait.more is None else f'{trait.more:.0%}'} |"
        for trait in profile.traits[:_TRAITS]
    )
    examples = ", ".join(f"{names[mine]} ({mine})" if mine in names else mine for mine in profile.examples)
    lines = [
        f"{profile.mines:,} mines, {profile.share:.0%} of the cohort. "
        f"States: {_listed(profile.states)}. Types: {_listed(profile.mine_types)}.",
        f"Nearest to the centre: {examples}.",
    ]
    if past:
        judged = "; ".join(
            f"{each.in_words} viable after {each.horizon_years} (all: {each.viable_share_of_all:.0%})"
            for each in past
            if each.viable_share is not None
        )
        lines.append(
            f"Past mines of the kind, {past[0].first_year}–{past[0].last_year}, {past[-1].rows:,} rows: {judged}."
        )
    if scores:
        told = ", ".join(f"{score:.0f} at {horizon}" for horizon, score in sorted(scores.items()))
        lines.append(f"Mean score by horizon in years: {told}.")
    return (
        f"### {profile.segment}. {profile.name}\n"
        + "\n".join(lines)
        + f"\n\n| trait | segment | all mines | above others |\n|---|---:|---:|---:|\n{traits}"
    )


def _tried(found: FoundSegments) -> str:
    return "\n".join(
        f"| {each.segments}{' ✓' if each.segments == len(found.profiles) else ''} | {each.silhouette:.3f} "
        f"| {each.smallest} | {'yes' if each.is_allowed else 'no'} |"
        for each in found.fit.tried
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
