"""Features: what they are (catalogue), how Feast sees them (views), how they are read and materialised
(store).

How a feature is computed belongs to the dbt models; what a model makes of it belongs to `fvi_pipeline.model`.
"""
