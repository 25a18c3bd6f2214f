"""The model tested from many origins, beside rivals on the same rows, and what the comparison says.

The folds and their rows are in `folds`, running and keeping them in `rolling` and `store`, the rivals in `rivals` and
`hazard`, what is measured in `comparison`, the page and the pictures in `report` and `pictures`. Nothing here knows
Dagster.
"""
