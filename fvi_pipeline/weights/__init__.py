"""Information gain, dynamic weights and the transparent index: pure functions over frames, and their storing.

What the metrics are is described beside the dbt model; when the weights are computed belongs to `defs`.
"""
