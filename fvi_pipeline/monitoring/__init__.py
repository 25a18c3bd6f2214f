"""Watching features and scores: how they lie, how far they have moved from the training data, whether scores came true,
and the catalogue.

Moves are in `drift` and `year_drift`, scores in `scores`, `outcomes` and `performance`, what calls for a new model in
`retraining`; the table ops.monitoring in `store`, what people see in `pictures`, `report`, `catalogue_rows` and
`document`. Asking for a run is not done here.
"""
