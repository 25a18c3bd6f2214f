"""Serving: what a request may say, what is answered, and the HTTP application that does both.

Nothing here knows of BentoML: `bentos` mounts the application and gives it its stores. Batch scores
into mart.fvi_scores belong in `model`, through the same ViabilityModel.
"""
