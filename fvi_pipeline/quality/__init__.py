"""Data quality: what its marks mean, when they stop the night, their history, and the report for people.

How a metric is measured is the view `mart.vw_metric_dq`; when a report is made belongs to `defs`.
"""
