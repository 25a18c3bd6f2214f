"""The viability model: data set, training, evaluation, intervals, ONNX, gate, registry and scoring.

Functions over frames, arrays and bytes. Nothing here knows Dagster or Feast, and nothing connects to a
server at import.
"""
