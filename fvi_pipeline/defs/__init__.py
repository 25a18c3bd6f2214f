"""What Dagster sees: thin assets, checks, schedules and sensors, one module per stage of the data's way.

An asset names what it depends on, calls a function of a pure package and reports rows; logic belongs in that package.
"""
