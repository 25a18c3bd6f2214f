"""Requests and answers of the HTTP service. What is computed for them belongs in `predictor`."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

from fvi_pipeline.evidence.query import MAXIMUM_PASSAGES, MAXIMUM_QUERY_CHARACTERS, Kind, Mode, end_of

MAXIMUM_BATCH = 1_000
MAXIMUM_BODY_BYTES = 4_000_000
_LARGEST_FLOAT32 = 3.4e38
_YEARS = (1900, 2200)


def _no_boolean(value: Any) -> Any:
    # To Python, True is 1; to a caller it is a mistake.
    if isinstance(value, bool):
        raise ValueError("a number is needed, not a boolean")
    return value


Horizon = Annotated[Literal[1, 2, 3, 5, 10, 20], BeforeValidator(_no_boolean)]
FeatureValue = Annotated[
    float,
    BeforeValidator(_no_boolean),
    Field(strict=True, allow_inf_nan=False, ge=-_LARGEST_FLOAT32, le=_LARGEST_FLOAT32),
]
# PostgreSQL and Redis keys hold no NUL, and no real identifier holds white space.
MineId = Annotated[str, Field(strict=True, min_length=1, max_length=64, pattern=r"^[!-~]+$")]


PredictionType = Literal["viability", "production", "next_status", "closing_year"]


def _no_timestamp(value: Any) -> Any:
    # pydantic reads any other number, and one in a text, as seconds since 1970
    number = value if isinstance(value, int | float) else None
    if isinstance(value, bool) or (isinstance(value, str) and value.strip("+-. ").replace(".", "").isdigit()):
        raise ValueError("a year as a number is needed, or a date, or a moment with its zone")
    if number is not None and not (isinstance(number, int) and _YEARS[0] <= number <= _YEARS[1]):
        raise ValueError(f"a year lies between {_YEARS[0]} and {_YEARS[1]}")
    return value


def _near(value: int | datetime | date) -> int | datetime | date:
    if not isinstance(value, int) and not _YEARS[0] <= value.year <= _YEARS[1]:
        raise ValueError(f"a year lies between {_YEARS[0]} and {_YEARS[1]}")
    return value


AsOf = Annotated[
    Annotated[int, Field(strict=True, ge=_YEARS[0], le=_YEARS[1])] | AwareDatetime | date,
    BeforeValidator(_no_timestamp),
    AfterValidator(_near),
]
WhatIf = Annotated[dict[str, FeatureValue | None], Field(max_length=200)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PredictRequest(_Request):
    """One question about one mine; `features` replaces stored values (null: as if missing) to ask what if."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"mine_id": "msha:0102838", "horizon_years": 5},
                {"mine_id": "msha:0102838", "horizon_years": 5, "features": {"average_employees": 40}},
                {"mine_id": "msha:0102838", "prediction_type": "closing_year"},
                {"mine_id": "msha:0102838", "horizon_years": 5, "as_of": 2015},
            ]
        },
    )

    mine_id: MineId = Field(description="msha: and seven digits, or gem: and the tracker's number")
    horizon_years: Horizon | None = Field(
        default=None,
        description="Years from the as-of year of the newest facts. Needed for viability; the others look one year "
        "ahead (production, next_status) or name the year themselves (closing_year)",
    )
    prediction_type: PredictionType = "viability"
    features: WhatIf | None = Field(default=None, description="What-if values by feature name; viability only")
    as_of: AsOf | None = Field(
        default=None,
        description="The past instead of now: an as-of year, or a day or moment, as whose newest score is answered; "
        "viability only, without features",
    )

    @model_validator(mode="after")
    def _fits_its_type(self) -> "PredictRequest":
        if self.prediction_type == "viability":
            if self.horizon_years is None:
                raise ValueError("horizon_years is needed for viability")
            if self.as_of is not None and self.features:
                raise ValueError("features and as_of do not go together")
            return self
        if self.features or self.as_of is not None:
            raise ValueError(f"{self.prediction_type} takes neither features nor as_of")
        if self.horizon_years is not None and (self.prediction_type == "closing_year" or self.horizon_years != 1):
            raise ValueError(f"{self.prediction_type} takes no such horizon_years: leave it out")
        return self


class ExplainRequest(_Request):
    """One mine, one horizon, perhaps with what-if values as in a prediction."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"mine_id": "msha:0102838", "horizon_years": 5}]}
    )

    mine_id: MineId
    horizon_years: Horizon
    features: WhatIf | None = None


class PredictBatchRequest(_Request):
    """Up to 1,000 requests; a longer list is answered with 413, one unknown mine with 404 for all."""

    requests: list[PredictRequest] = Field(min_length=1, json_schema_extra={"maxItems": MAXIMUM_BATCH})


def _day_or_moment(value: str) -> str:
    end_of(value)
    return value


class RetrieveRequest(_Request):
    """A query in words, the number of passages wanted, and what they may be."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"query": "methane drainage", "k": 3},
                {"query": '"five-year agreement" with the union', "mine_id": "msha:0102838", "kind": ["wiki", "file"]},
                {"query": "vent shaft", "mode": "text", "as_of": "2024-04-30"},
            ]
        },
    )

    query: Annotated[str, Field(strict=True, min_length=1, max_length=MAXIMUM_QUERY_CHARACTERS, pattern=r"\S")] = Field(
        description="Words or a question; a phrase in quotes has to be in the passages, if any holds it"
    )
    k: Annotated[int, Field(strict=True, ge=1, le=MAXIMUM_PASSAGES)] = 5
    mine_id: MineId | None = Field(default=None, description="Only passages that are about this mine")
    kind: Annotated[list[Kind], Field(min_length=1, max_length=5)] | None = Field(
        default=None, description="Only passages of these kinds of sources"
    )
    language: Annotated[str, Field(strict=True, pattern=r"^[a-z]{2}$")] | None = Field(
        default=None, description="Only passages in this language, ISO 639-1"
    )
    as_of: Annotated[str, Field(strict=True, max_length=40), AfterValidator(_day_or_moment)] | None = Field(
        default=None, description="Nothing that became known after this day (its end, UTC) or moment"
    )
    mode: Mode = Field(default="hybrid", description="By words and meaning, by words (text), or by meaning (vector)")
    per_document: Annotated[int, Field(strict=True, ge=1, le=MAXIMUM_PASSAGES)] = Field(
        default=1, description="More passages than this of one document come after those of the others"
    )

    @field_validator("query")
    @classmethod
    def _text(cls, query: str) -> str:
        if "\x00" in query:
            raise ValueError("a query is text, without NUL")
        return query


class ChatRequest(_Request):
    """A question in words, and what it goes on from."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"message": "Why is Bailey Mine in Pennsylvania at risk?"},
                {"message": "What changed this year?", "mine_id": "msha:3607230", "conversation_id": "c0ffee"},
            ]
        },
    )

    message: Annotated[str, Field(strict=True, min_length=1, max_length=MAXIMUM_QUERY_CHARACTERS, pattern=r"\S")]
    mine_id: MineId | None = Field(default=None, description="The mine that the question is about, if it names none")
    conversation_id: Annotated[str, Field(strict=True, pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = Field(
        default=None, description="Of your own making; questions of one conversation go on from each other"
    )


class ModelIdentity(BaseModel):
    """The model that answered."""

    name: str
    version: str


class Contribution(BaseModel):
    """A feature's part in the score, in log-odds of being viable; null value: missing."""

    feature: str
    value: float | None
    contribution: float


class ExplainedContribution(Contribution):
    """The same with what the value says."""

    in_words: str = Field(description="What the value says of the mine, as a sentence")


class ProductionForecast(BaseModel):
    """Production of the next year, if the mine still produces then."""

    forecast_year: int
    production_short_tons: float = Field(description="Of the as-of year")
    median_short_tons: float
    interval_short_tons: tuple[float, float]
    confidence: float = Field(description="With which the interval holds the production")


class StatusForecast(BaseModel):
    """The probability of each status at the end of the next year; they sum to one."""

    forecast_year: int
    probabilities: dict[str, float]


class ClosingYear(BaseModel):
    """The first year in which the mine more likely does not produce than does; null: after last_year."""

    closing_year: int | None
    closing_year_low: int | None = Field(description="By the lower ends of the scores' intervals")
    closing_year_high: int | None
    quarter_closed_by: int | None = Field(description="A quarter of such mines has closed by then")
    three_quarters_closed_by: int | None
    last_year: int
    tested_until_year: int
    is_tested: bool
    in_words: str


class _Answer(BaseModel):
    mine_id: str
    horizon_years: int | None
    fvi_score: float | None = Field(description="100 x probability of being viable")
    viability_probability: float | None
    interval: tuple[float, float] | None = Field(description="[low, high] around fvi_score")
    as_of: int | None = Field(description="Year that the newest facts describe; the horizon counts from it")
    known_at: AwareDatetime | None = Field(
        description="When those facts became known; of the past: when the score was made"
    )
    index_score: float | None = Field(description="Transparent composite, 0 to 100")
    model: ModelIdentity
    arm: Literal["champion", "challenger", "history", "backtest"] = Field(
        description="Which model in force was asked; history: a score as it was stored; backtest: a test's prediction "
        "of a year that nothing was served for"
    )
    degraded: bool = Field(description="The online store was down: features came from the warehouse")


class Prediction(_Answer):
    """The answer for a mine; outside the cohort the score or the forecast is null, with the reason."""

    top_features: list[Contribution]
    reason: str | None = Field(default=None, description="Why there is no answer")
    prediction_type: PredictionType = "viability"
    production: ProductionForecast | None = None
    next_status: StatusForecast | None = None
    closing_year: ClosingYear | None = None


class ExplainResponse(_Answer):
    """A score and what every feature adds to it, strongest first: base + contributions are its log-odds."""

    base: float | None
    log_odds: float | None
    narrative: str | None = Field(description="The strongest reasons for and against the mine, as a paragraph")
    contributions: list[ExplainedContribution]
    reason: str | None = None


class PredictBatchResponse(BaseModel):
    """Predictions in the order of the requests."""

    predictions: list[Prediction]


class RetrievedPassage(BaseModel):
    """A passage, what it is from, and how it was found."""

    document_id: str
    chunk_id: str
    text: str
    score: float = Field(
        description="Orders the passages: 1 is first by words and by meaning (hybrid), BM25 (text), similarity (vector)"
    )
    source: str
    title: str | None = None
    section: str | None = Field(default=None, description="The headings above the passage")
    kind: str | None = None
    url: str | None = None
    licence: str | None = None
    language: str | None = Field(default=None, description="ISO 639-1; null where the text is too short to tell")
    mine_ids: list[str] = Field(default=[], description="The mines that the passage is about")
    known_at: AwareDatetime | None = Field(default=None, description="When it became public, or we got it")
    document_date: date | None = Field(default=None, description="The date that the document gives itself")
    text_rank: int | None = Field(default=None, description="Its place by words, from 1; null: not among the first 100")
    text_score: float | None = Field(default=None, description="BM25")
    vector_rank: int | None = Field(default=None, description="Its place by meaning, from 1; null: not among the first")
    similarity: float | None = Field(default=None, description="Cosine similarity to the query")


class RetrieveResponse(BaseModel):
    """Passages, best first."""

    passages: list[RetrievedPassage]


class MetricWeight(BaseModel):
    """The dynamic weight of a metric of the index, and what it was made from."""

    metric: str
    weight: float = Field(description="Share of the sum of all weights")
    base_weight: float
    quality: float
    information_gain: float | None = Field(description="Null where nothing has been measured")
    override_weight: float | None = Field(default=None, description="Set by somebody in place of the dynamic weight")
    override_author: str | None = None
    override_reason: str | None = None
    computed_at: AwareDatetime


class WeightsResponse(BaseModel):
    """The weights in force, the heaviest first."""

    weights: list[MetricWeight]


class WeightOfNight(BaseModel):
    """A metric's weight as it was one night."""

    night: date
    metric: str
    weight: float
    information_gain: float | None
    quality: float
    override_weight: float | None


class WeightHistoryResponse(BaseModel):
    """Weights by night, the newest first."""

    nights: list[WeightOfNight]


class ErrorDetail(BaseModel):
    """A code for programs, a sentence for people."""

    code: str
    message: str


class ErrorResponse(BaseModel):
    """Every error has this form."""

    error: ErrorDetail
