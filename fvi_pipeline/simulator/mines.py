"""What a simulated mine is called, where it lies and who operates it: nothing that touches its survival.

Only the drawing of such attributes belongs here. They are drawn from a stream of their own, independent of
the process, which is what makes them noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fvi_pipeline.simulator.config import SimulationConfig
from fvi_pipeline.simulator.process import Array, stream

# state as EIA writes it, its MSHA prefix, its GEM name, basin, counties, (latitude, longitude) of its middle
STATES: tuple[tuple[str, str, str, str, tuple[str, ...], tuple[float, float]], ...] = (
    ("Alabama", "01", "Alabama", "Appalachia Southern", ("Bibb", "Jefferson", "Walker"), (33.6, -87.2)),
    ("Colorado", "05", "Colorado", "Uinta Region", ("Moffat", "Routt", "Rio Blanco"), (40.2, -107.5)),
    ("Illinois", "11", "Illinois", "Illinois Basin", ("Saline", "Franklin", "Perry"), (38.0, -88.9)),
    ("Indiana", "12", "Indiana", "Illinois Basin", ("Gibson", "Knox", "Sullivan"), (38.6, -87.5)),
    ("Kentucky (East)", "15", "Kentucky", "Appalachia Central", ("Pike", "Harlan", "Perry"), (37.3, -82.8)),
    ("Kentucky (West)", "15", "Kentucky", "Illinois Basin", ("Hopkins", "Union", "Webster"), (37.4, -87.6)),
    (
        "Pennsylvania (Bituminous)",
        "36",
        "Pennsylvania",
        "Appalachia Northern",
        ("Greene", "Indiana"),
        (40.3, -79.6),
    ),
    ("Virginia", "44", "Virginia", "Appalachia Central", ("Buchanan", "Wise", "Dickenson"), (37.1, -82.3)),
    (
        "West Virginia (Northern)",
        "46",
        "West Virginia",
        "Appalachia Northern",
        ("Marion", "Harrison"),
        (39.3, -80.2),
    ),
    (
        "West Virginia (Southern)",
        "46",
        "West Virginia",
        "Appalachia Central",
        ("Logan", "Boone", "Mingo"),
        (37.8, -82.0),
    ),
    (
        "Wyoming",
        "48",
        "Wyoming",
        "Powder River Basin",
        ("Campbell", "Converse", "Sweetwater"),
        (43.8, -105.4),
    ),
    (
        "Refuse Recovery",
        "36",
        "Pennsylvania",
        "Appalachia Northern",
        ("Schuylkill", "Cambria"),
        (40.6, -76.4),
    ),
)
_STATE_SHARES = (0.07, 0.04, 0.06, 0.06, 0.25, 0.04, 0.14, 0.10, 0.06, 0.12, 0.03, 0.03)

FIRST_WORDS = (
    "Black",
    "Cedar",
    "Eagle",
    "Elk",
    "Falcon",
    "Gold",
    "Hickory",
    "Iron",
    "Laurel",
    "Maple",
    "North",
    "Oak",
    "Piney",
    "Quarry",
    "Raven",
    "Red",
    "Rocky",
    "Shady",
    "Silver",
    "Stone",
    "Sugar",
    "Twin",
    "Walnut",
    "White",
)
SECOND_WORDS = (
    "Branch",
    "Creek",
    "Fork",
    "Gap",
    "Hollow",
    "Knob",
    "Mountain",
    "Ridge",
    "River",
    "Run",
    "Springs",
    "Valley",
)
LAST_WORDS = ("Mine", "Mine No. 1", "No. 2", "Surface Mine", "Deep Mine", "Mine #3", "Portal", "Strip")
OPERATOR_WORDS = (
    "Allegheny",
    "Bluestone",
    "Cardinal",
    "Crown",
    "Dominion",
    "Energy West",
    "Frontier",
    "Guyandotte",
    "Heritage",
    "Keystone",
    "Lone Star",
    "Mammoth",
    "New River",
    "Old Ben",
    "Paragon",
    "Quicksilver",
    "Rosebud",
    "Summit",
    "Tug Fork",
    "Pe\u00f1a Blanca",
    "O\u2019Brien & Sons",
    "Ch\u00e2teau",
)
OPERATOR_ENDINGS = (
    "Coal Company",
    "Mining, Inc.",
    "Resources Llc",
    "Energy, Llc",
    "Coal Sales & Associates, Inc.",
)
UNIONS = (
    "",
    "United Mine Workers of America",
    "United Mine Workers Of America",
    "UNIT",
    "Scotia Employees Association",
)
COMPANY_TYPES = ("Indepedent Producer Operator", "Operating Subsidiary", "Contractor", "-")
OPERATOR_WIDTH = 30  # EIA cuts operators' names here


@dataclass(frozen=True)
class MineAttributes:
    """Attributes of one U.S. mine. `msha_id` has seven digits; `state` is an index into STATES."""

    msha_id: str
    name: str
    state: int
    county: str
    operator: str
    address: str
    company_type: str
    union: str
    operation: str
    has_plant_row: bool
    has_second_type_row: bool
    latitude: float
    longitude: float
    depth_m: float
    gem_id: str

    @property
    def mine_id(self) -> str:
        """The project's identifier of the mine."""
        return f"msha:{self.msha_id}"


def draw_attributes(config: SimulationConfig) -> list[MineAttributes]:
    """Attributes for every U.S. mine of the simulation, in the order of the population."""
    rng = stream(config, "attributes")
    states = rng.choice(len(STATES), size=config.mines, p=_STATE_SHARES)
    return [_draw_mine(rng, i, int(state)) for i, state in enumerate(states)]


def draw_operator(rng: np.random.Generator) -> tuple[str, str]:
    """An operator's full name, and an address with a comma in it, as the publisher writes them."""
    name = f"{pick(rng, OPERATOR_WORDS)} {pick(rng, OPERATOR_ENDINGS)}"
    return (
        name,
        f"P.O. Box {rng.integers(10, 4000)}, {pick(rng, FIRST_WORDS)}ville, KY {rng.integers(40000, 42999)}",
    )


def pick(rng: np.random.Generator, values: tuple[str, ...]) -> str:
    """One of the values, evenly."""
    return values[int(rng.integers(len(values)))]


def _draw_mine(rng: np.random.Generator, index: int, state: int) -> MineAttributes:
    _, prefix, _, _, counties, (latitude, longitude) = STATES[state]
    operator, address = draw_operator(rng)
    shares: Array = rng.random(4)
    return MineAttributes(
        # The index keeps ids apart within every state.
        msha_id=f"{prefix}{10000 + index * 7 + int(rng.integers(7)):05d}",
        name=f"{pick(rng, FIRST_WORDS)} {pick(rng, SECOND_WORDS)} {pick(rng, LAST_WORDS)}",
        state=state,
        county=pick(rng, counties),
        operator=operator,
        address=address,
        company_type=COMPANY_TYPES[int(np.searchsorted((0.55, 0.83, 0.97), shares[0]))],
        union=UNIONS[int(np.searchsorted((0.75, 0.88, 0.95, 0.98), shares[1]))],
        operation="Mine only" if shares[2] < 0.75 else "Mine and Preparation Plant",
        has_plant_row=bool(0.60 < shares[2] < 0.75),
        has_second_type_row=bool(shares[3] < 0.04),
        latitude=round(float(latitude + rng.normal(0, 0.4)), 6),
        longitude=round(float(longitude + rng.normal(0, 0.4)), 6),
        depth_m=float(np.rint(rng.uniform(20, 700))),
        gem_id=f"M{1000 + index:04d}",
    )
