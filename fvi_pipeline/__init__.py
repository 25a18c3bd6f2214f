"""FVI, the Future Viability Index of coal mines: from publishers' files to a served score.

`definitions.py` is the one Dagster assembly and `defs/` what Dagster sees; the other packages are pure functions
without Dagster, database or network at import. Nothing else belongs in this file.
"""
