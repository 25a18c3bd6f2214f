"""What counts as another definition of a feature: what may change its values, and nothing else."""

from __future__ import annotations

import pytest

from fvi_pipeline.features.catalogue import HISTORY_MODEL, load_catalogue
from tests.unit.features.small_manifest import FEATURE, MACROS, column, write_manifest

HISTORY = """
{{ config(materialized='incremental', pre_hook="{{ anything() }}") }}
{# how it is made #}
with own as (
    select measures.* from {{ ref('gold_vintages') }} as releases
    inner join lateral ({{ rows_with('gold_mine_own_measures', {'year': 'releases.year'}) }}) as measures on true
),
subjects as (select mine_id, year from {{ ref('silver_mine_years') }}),
peers as (select * from {{ ref('gold_mine_peer_measures') }})
select
    own.mine_id,
    -- tons
    own.peak as ash,
    own.peak - own.low as zinc,
    {{ relative_change('own.peak', 'own.low') }} as change,
    peers.rate as rate
from subjects
inner join own on own.mine_id = subjects.mine_id
inner join {{ ref('gold_vintages') }} as vintages on vintages.year = own.year
left join peers on peers.mine_id = subjects.mine_id
"""
OWN_MEASURES = """
with facts as (
    select mine_id, year, tons * 2 as tons, hours from {{ ref('silver_mine_years') }} where tons > 0
)
select
    mine_id,
    year,
    {% for name, what in {'peak': 'max', 'low': 'min'}.items() -%}
    {{ what }}(tons) as {{ name }},
    {% endfor -%}
    sum(hours) as hours
from facts group by mine_id, year
"""
PEERS = "select mine_id, avg(share) as rate from {{ ref('silver_mine_years') }} group by mine_id"
NAMES = ("ash", "zinc", "change", "rate")
PLAIN = {HISTORY_MODEL: HISTORY, "gold_mine_own_measures": OWN_MEASURES, "gold_mine_peer_measures": PEERS}


def changed_by(folder, model: str, old: str, new: str, macros=MACROS) -> set[str]:
    features = [column(name, FEATURE) for name in NAMES]

    def definitions(sql, macros) -> dict[str, str]:
        catalogue = load_catalogue(write_manifest(folder, features, sql=sql, macros=macros))
        return {found.name: found.definition for found in catalogue.features}

    assert old in PLAIN.get(model, old)
    before = definitions(PLAIN, MACROS)
    after = definitions({**PLAIN, model: PLAIN.get(model, "").replace(old, new)}, macros)
    assert set(before) == set(NAMES)
    return {name for name in NAMES if before[name] != after[name]}


@pytest.mark.parametrize(
    ("model", "old", "new", "changed"),
    [
        # an expression of its own, and one that it is computed from, also inside a loop or a query before
        (HISTORY_MODEL, "own.peak - own.low", "own.peak - 2 * own.low", {"zinc"}),
        ("gold_mine_own_measures", "'low': 'min'", "'low': 'avg'", {"zinc", "change"}),
        ("gold_mine_own_measures", "tons * 2", "tons * 3", {"ash", "zinc", "change"}),
        ("gold_mine_peer_measures", "avg(share)", "max(share)", {"rate"}),
        # what filters and joins
        ("gold_mine_own_measures", "tons > 0", "tons > 1", {"ash", "zinc", "change"}),
        ("gold_mine_own_measures", "group by mine_id, year", "group by mine_id", {"ash", "zinc", "change"}),
        (HISTORY_MODEL, "{'year': 'releases.year'}", "{'year': 'releases.other'}", {"ash", "zinc", "change"}),
        (HISTORY_MODEL, "peers.mine_id = subjects.mine_id", "peers.mine_id <> subjects.mine_id", {"rate"}),
        # which rows there are, not what is in them
        (HISTORY_MODEL, "on vintages.year = own.year", "on vintages.year > own.year", set()),
        # words, white space, another column, a model that is not followed
        (HISTORY_MODEL, "-- tons", "-- short tons of\n\n", set()),
        (HISTORY_MODEL, "how it is made", "", set()),
        (HISTORY_MODEL, "    own.mine_id,\n", "    own.mine_id, own.peak + 1 as new,\n", set()),
        ("gold_mine_own_measures", "sum(hours)", "max(hours)", set()),
        ("gold_mine_own_measures", "year,\n    {% for", "year, count(*) as years,\n    {% for", set()),
    ],
)
def test_what_changes_a_definition(tmp_path, model, old, new, changed):
    assert changed_by(tmp_path, model, old, new) == changed


def test_a_macro_that_an_expression_calls_belongs_to_it(tmp_path):
    other = {**MACROS, "relative_change": MACROS["relative_change"].replace("- 1", "")}
    assert changed_by(tmp_path, HISTORY_MODEL, "", "", other) == {"change"}
    rebuilding = {**MACROS, "rows_with": MACROS["rows_with"].replace("never", "not")}
    assert changed_by(tmp_path, HISTORY_MODEL, "", "", rebuilding) == set()


def test_a_model_that_cannot_be_read_counts_as_a_whole(tmp_path):
    assert changed_by(tmp_path, "gold_mine_peer_measures", "avg(share)", "{{ nobody_knows() }}") == {"rate"}
    unread = {**PLAIN, HISTORY_MODEL: HISTORY + "{{ nobody_knows() }}"}
    features = [column(name, FEATURE) for name in NAMES]
    catalogue = load_catalogue(write_manifest(tmp_path, features, sql=unread))
    assert len({found.definition for found in catalogue.features}) == 1
    assert "own.peak as ash" in catalogue.features[0].definition
    assert "-- tons" not in catalogue.features[0].definition
