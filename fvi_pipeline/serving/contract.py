"""Requests and answers of the HTTP service. What is computed for them belongs in `predictor`."""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from fvi_pipeline.evidence.retrieval import MAXIMUM_PASSAGES, MAXIMUM_QUERY_CHARACTERS

MAXIMUM_BATCH = 1_000
MAXIMUM_BODY_BYTES = 4_000_000
_LARGEST_FLOAT32 = 3.4e38


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


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PredictRequest(_Request):
    """One mine, one horizon; `features` replaces stored values (null: as if missing) to ask what if."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"mine_id": "msha:0102838", "horizon_years": 5}]},
    )

    mine_id: MineId = Field(description="msha: and seven digits, or gem: and the tracker's number")
    horizon_years: Horizon = Field(description="Years from the as-of year of the newest facts")
    features: dict[str, FeatureValue | None] | None = Field(
        default=None, max_length=200, description="What-if values by feature name"
    )


class PredictBatchRequest(_Request):
    """Up to 1,000 requests; a longer list is answered with 413, one unknown mine with 404 for all."""

    requests: list[PredictRequest] = Field(min_length=1, json_schema_extra={"maxItems": MAXIMUM_BATCH})


class RetrieveRequest(_Request):
    """A query in words and the number of passages wanted."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"query": "methane drainage", "k": 3}]})

    query: Annotated[str, Field(strict=True, min_length=1, max_length=MAXIMUM_QUERY_CHARACTERS, pattern=r"\S")]
    k: Annotated[int, Field(strict=True, ge=1, le=MAXIMUM_PASSAGES)] = 5


class ModelIdentity(BaseModel):
    """The model that answered."""

    name: str
    version: str


class Contribution(BaseModel):
    """A feature's part in the score, in log-odds of being viable; null value: missing."""

    feature: str
    value: float | None
    contribution: float


class Prediction(BaseModel):
    """A mine's score; outside the cohort the score is null, with the reason."""

    mine_id: str
    horizon_years: int
    fvi_score: float | None = Field(description="100 x probability of being viable")
    viability_probability: float | None
    interval: tuple[float, float] | None = Field(description="[low, high] around fvi_score")
    as_of: int | None = Field(description="Year that the newest facts describe; the horizon counts from it")
    index_score: float | None = Field(description="Transparent composite, 0 to 100")
    model: ModelIdentity
    top_features: list[Contribution]
    reason: str | None = Field(default=None, description="Why there is no score")


class PredictBatchResponse(BaseModel):
    """Predictions in the order of the requests."""

    predictions: list[Prediction]


class RetrievedPassage(BaseModel):
    """A passage; score is the cosine similarity to the query."""

    document_id: str
    chunk_id: str
    text: str
    score: float
    source: str


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


class ErrorDetail(BaseModel):
    """A code for programs, a sentence for people."""

    code: str
    message: str


class ErrorResponse(BaseModel):
    """Every error has this form."""

    error: ErrorDetail
