"""The dynamic weights as served: read from Redis. Computing and storing them belongs in the weights package."""

import json
from typing import Any

import redis

from fvi_pipeline.serving.errors import StoreUnavailableError

WEIGHTS_KEY = "fvi:weights"


def read_weights(client: "redis.Redis") -> dict[str, Any]:
    """Return {weights: [{metric, weight, …}]}, the heaviest first; raise StoreUnavailableError without Redis."""
    try:
        stored: dict[bytes, bytes] = client.hgetall(WEIGHTS_KEY)  # type: ignore[assignment]
    except redis.RedisError as error:
        raise StoreUnavailableError("The store of the weights does not answer: ask again in a moment.") from error
    weights = []
    for metric, value in stored.items():
        decoded = json.loads(value)
        entry = decoded if isinstance(decoded, dict) else {"weight": decoded}
        weights.append({"metric": metric.decode(), **entry})
    return {"weights": sorted(weights, key=lambda entry: (-entry["weight"], entry["metric"]))}
