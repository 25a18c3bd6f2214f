"""What a simulation is asked for: sizes, years, and the coefficients of the survival process.

Only frozen descriptions and their checks belong here; the arithmetic is in `process`, the writing in the
`*_files`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args


class SimulationConfigError(ValueError):
    """A simulation that cannot be drawn; the message says which setting to change."""


@dataclass(frozen=True)
class SurvivalCoefficients:
    """Effects on the log odds of closing within a year, per standard deviation of the driver known in t.

    A negative value keeps a mine open. `frailty_sd` is the standard deviation (on the log odds) of what no
    file shows. `annual_restart_probability` is the chance, per year, that a closed mine produces again.
    """

    intercept: float = -2.6
    log_production: float = -1.5
    productivity: float = -0.8
    production_to_peak: float = -0.6
    employees_change: float = -0.35
    coal_price_change: float = -0.15
    underground: float = 0.25
    frailty_sd: float = 0.25
    annual_restart_probability: float = 0.0


@dataclass(frozen=True)
class StatusRates:
    """Chance that the year-t file calls a producing mine exactly 'Active', by what the mine does in year t+1.

    The publisher takes the status after the end of the year, so it knows more than year t: mines about to
    close are mostly not 'Active' any more. Equal rates would make the status carry nothing.
    """

    active_given_open_next_year: float = 0.90
    active_given_closed_next_year: float = 0.18


PublishedColumn = Literal["production_short_tons", "average_employees", "labor_hours"]


@dataclass(frozen=True)
class PublishedShift:
    """From `from_year` on, EIA publishes `factor` times what a mine had: hours are counted otherwise, say."""

    column: PublishedColumn
    from_year: int
    factor: float


@dataclass(frozen=True)
class RegimeChange:
    """From as-of year `from_year` on, mines close by other coefficients: what told of survival tells less, or nothing.

    Frailty is a mine's own and stays; so does the chance of a restart.
    """

    from_year: int
    survival: SurvivalCoefficients


@dataclass(frozen=True)
class SimulationConfig:
    """One simulation. `mines` counts the U.S. mines ever in the panel; years are inclusive as-of years.

    `defects` plants the defects that `SimulatedTruth.defects` lists. `oracle_paths` is the number of forward
    paths drawn for every cohort row when the oracle is first asked for.
    """

    seed: int = 20240401
    mines: int = 900
    first_year: int = 1995
    last_year: int = 2019
    share_open_in_first_year: float = 0.5
    foreign_mines: int = 240
    defects: bool = True
    oracle_paths: int = 200
    survival: SurvivalCoefficients = field(default_factory=SurvivalCoefficients)
    status: StatusRates = field(default_factory=StatusRates)
    shifts: tuple[PublishedShift, ...] = ()
    regime_change: RegimeChange | None = None

    def __post_init__(self) -> None:
        """Refuse settings under which no panel, cohort or outcome could exist."""
        if self.mines < 20:
            raise SimulationConfigError(f"mines={self.mines} is too few for a panel: ask for at least 20.")
        if self.last_year - self.first_year < 4:
            raise SimulationConfigError(
                f"{self.first_year}-{self.last_year} is too short for outcomes: ask for at least five years."
            )
        if not (self.first_year >= 1983 and self.last_year <= 2023):
            raise SimulationConfigError("The publishers' forms are known for 1983-2023: keep the years within them.")
        if not 0 < self.share_open_in_first_year <= 1:
            raise SimulationConfigError("share_open_in_first_year is a share: keep it above 0 and at most 1.")
        if self.survival.frailty_sd < 0 or not 0 <= self.survival.annual_restart_probability < 1:
            raise SimulationConfigError("frailty_sd may not be negative; annual_restart_probability is in [0, 1).")
        for shift in self.shifts:
            if shift.column not in get_args(PublishedColumn) or shift.factor <= 0:
                raise SimulationConfigError(
                    f"{shift} cannot be drawn: name one of {', '.join(get_args(PublishedColumn))} and a factor above 0."
                )
        later = self.regime_change.survival if self.regime_change else self.survival
        if later != replace(
            later,
            frailty_sd=self.survival.frailty_sd,
            annual_restart_probability=self.survival.annual_restart_probability,
        ):
            raise SimulationConfigError(
                "A change of regime leaves frailty_sd and annual_restart_probability as they are: give them alike."
            )
        if self.oracle_paths < 10:
            raise SimulationConfigError("oracle_paths below 10 gives no usable oracle: ask for 200.")

    @property
    def years(self) -> range:
        """The as-of years of the panel, first to last."""
        return range(self.first_year, self.last_year + 1)

    def survival_in(self, year: int) -> SurvivalCoefficients:
        """The coefficients by which mines close within the year after as-of year `year`."""
        change = self.regime_change
        return change.survival if change and year >= change.from_year else self.survival

    def as_record(self) -> dict[str, Any]:
        """The settings as plain values, as the marker file of the folder carries them."""
        record = asdict(self)
        if not self.shifts:
            del record["shifts"]  # folders from before there were shifts are the same simulation
        if self.regime_change is None:
            del record["regime_change"]
        return record


def small_simulation_config(seed: int = 20240401, *, defects: bool = True) -> SimulationConfig:
    """A folder small enough for a test's fixture: 150 mines, 2003-2019, written in well under two seconds."""
    return SimulationConfig(seed=seed, mines=150, first_year=2003, last_year=2019, foreign_mines=40, defects=defects)
