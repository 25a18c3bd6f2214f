"""The dynamic weights as served: read from Redis. Computing and storing them belongs in `weights`, earlier nights to
`history`.
"""

from fvi_pipeline.serving.contract import MetricWeight, WeightsResponse
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.redis_link import RedisLink

# Written by fvi_pipeline.weights.store: one field a metric, the value a JSON object.
WEIGHTS_KEY = "fvi:weights"


async def read_weights(link: RedisLink) -> WeightsResponse:
    """Return the weights in force; raise StoreUnavailableError when Redis is down or holds none."""
    (stored,) = await link.call([("HVALS", WEIGHTS_KEY)])
    if not stored:
        raise StoreUnavailableError("No weights have been computed yet: run the pipeline first.")
    weights = [MetricWeight.model_validate_json(value) for value in stored]
    return WeightsResponse(weights=sorted(weights, key=lambda entry: (-entry.weight, entry.metric)))
