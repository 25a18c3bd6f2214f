"""The companions of the viability model: next year's production, the next status, and the likely closing year.

The first two are models of their own, registered and judged as viability is; the third is read off its scores.
Functions over frames, arrays and bytes, and the writing of their marts. Nothing here knows Dagster or Feast.
"""
