"""Whether what-if values can be values of their features: name, type and range. What they do to a score is the model's.

The range is that of the training data, widened on either side by its own width: beyond it trees only repeat what they
say at the edge. What never was negative may not become so.
"""

from __future__ import annotations

from collections.abc import Mapping

from fvi_pipeline.serving.arms import ServedModel
from fvi_pipeline.serving.errors import InvalidRequestError

_SHOWN = 5
_WHOLE = frozenset({"INT32", "INT64"})


def check_what_if(served: ServedModel, values: Mapping[str, float | None]) -> None:
    """Raise InvalidRequestError for a value that no mine could have; null, which means missing, always can be."""
    known = served.fields.types
    unknown = sorted(name for name in values if name not in served.positions)
    if unknown:
        raise InvalidRequestError(
            f"The model has no feature {', '.join(name[:60] for name in unknown[:_SHOWN])}; "
            "mart.feature_catalogue lists what it has."
        )
    wrong = []
    for name, value in values.items():
        if value is None:
            continue
        kind = known.get(name, "DOUBLE")
        if kind in _WHOLE and not float(value).is_integer():
            wrong.append(f"{name} must be a whole number")
        elif kind == "BOOL" and value not in (0, 1):
            wrong.append(f"{name} must be 0 or 1")
        elif (limits := served.limits.get(name)) is not None and not limits[0] <= value <= limits[1]:
            wrong.append(f"{name} must lie between {limits[0]:.6g} and {limits[1]:.6g}")
    if wrong:
        raise InvalidRequestError("; ".join(wrong[:_SHOWN]) + ".")
