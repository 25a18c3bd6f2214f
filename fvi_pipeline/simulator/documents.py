"""A dozen short documents on simulated mines, for retrieval.

Only the texts belong here. They repeat what the files say of a mine as of the panel's end, and nothing of its
future.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fvi_pipeline.simulator.config import SimulationConfig
from fvi_pipeline.simulator.mines import STATES, MineAttributes
from fvi_pipeline.simulator.process import Population, stream

DOCUMENTS = 12

_TOPICS = (
    "{name} ventilates through two shafts. Monitoring found methane at {a} per cent in the return air. "
    "{operator} plans a drainage station that would flare or sell the gas of the {county} County seam.",
    "Roof conditions slowed development at {name}. {operator} moved a continuous miner to the east panel and "
    "expects output to recover; the crew of {employees} stays in place.",
    "{operator} renewed the supply contract of {name} with a power station for {b} years. The price follows "
    "an index of thermal coal with a floor, which protects the mine when spot prices fall.",
    "The reclamation bond of {name} was raised by the regulator of {state}. {operator} regraded {c} acres "
    "of mined land and planted hardwood; water from the settling ponds meets the permit's limits for iron.",
    "Miners at {name} voted on union representation. The contract at issue sets wages, pensions and "
    "black lung benefits for {employees} workers.",
    "A geological survey of {name} puts recoverable reserves at {d} million short tons in a seam {e} feet "
    "thick. At the present rate that is {b} years of mining, if the permit for the western block is granted.",
)


def write_documents(
    folder: Path, config: SimulationConfig, population: Population, mines: list[MineAttributes]
) -> dict[tuple[str, str], int]:
    """Write documents on the largest mines producing in the last year; returns one row per document."""
    rng = stream(config, "documents")
    last = len(config.years) - 1
    producing = np.nonzero(population.producing[:, last])[0]
    chosen = producing[np.argsort(-population.production[producing, last], kind="stable")][:DOCUMENTS]
    rows = {}
    for k, i in enumerate(chosen):
        mine = mines[int(i)]
        facts = {
            "name": mine.name,
            "operator": mine.operator,
            "county": mine.county,
            "state": STATES[mine.state][2],
            "employees": int(population.employees[i, last]),
            "a": f"{rng.uniform(0.1, 0.9):.2f}",
            "b": int(rng.integers(3, 15)),
            "c": int(rng.integers(20, 300)),
            "d": int(rng.integers(5, 90)),
            "e": int(rng.integers(3, 9)),
        }
        first, second = (_TOPICS[(k + shift) % len(_TOPICS)].format(**facts) for shift in (0, 2))
        production = int(population.production[i, last])
        markdown = k % 3 != 2
        heading = f"{'# ' if markdown else ''}{mine.name}, {mine.county} County, {STATES[mine.state][2]}"
        text = (
            f"{heading}\n\nMSHA ID {mine.msha_id}. Simulated document. Operator: {mine.operator}\n\n"
            f"In {config.last_year} the mine produced {production:,} short tons "
            f"with {facts['employees']} employees.\n\n"
            f"{first}\n\n{second}\n"
        )
        name = f"documents/{k + 1:02d}-{'-'.join(mine.name.lower().split()[:2])}.{'md' if markdown else 'txt'}"
        (folder / name).write_bytes(text.encode("utf-8"))
        rows[name, ""] = 1
    return rows
