"""Watching the features: how their values lie now, how far they have moved from the training data, and the catalogue.

Measuring is in `statistics` and `drift`, the table ops.monitoring in `store`, what people see in `pictures`, `rows` and
`document`. Whether a move calls for a new model is not decided here.
"""
