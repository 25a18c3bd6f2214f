"""The dynamic weights as served: read from Redis. Computing and storing them belongs in `weights`."""

import redis

from fvi_pipeline.serving.contract import MetricWeight, WeightsResponse
from fvi_pipeline.serving.errors import StoreUnavailableError

# Written by fvi_pipeline.weights.store: one field a metric, the value a JSON object.
WEIGHTS_KEY = "fvi:weights"


def read_weights(client: "redis.Redis") -> WeightsResponse:
    """Return the weights in force; raise StoreUnavailableError when Redis is down or holds none."""
    try:
        stored: list[bytes] = client.hvals(WEIGHTS_KEY)  # type: ignore[assignment]
    except redis.RedisError as error:
        raise StoreUnavailableError("The store of the weights does not answer: ask again later.") from error
    if not stored:
        raise StoreUnavailableError("No weights have been computed yet: run the pipeline first.")
    weights = [MetricWeight.model_validate_json(value) for value in stored]
    return WeightsResponse(weights=sorted(weights, key=lambda entry: (-entry.weight, entry.metric)))
