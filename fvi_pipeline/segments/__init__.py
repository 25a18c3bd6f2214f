"""Segments: groups of mines that are alike today, how many there are, what sets each apart, and what it is called.

Pure functions over frames, and their storing. The segments are context for people and no input of a model; when they
are computed belongs to `defs`.
"""
