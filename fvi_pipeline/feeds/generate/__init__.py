"""What follows from the feeds' descriptions and lies in the repository as text: landing tables, dbt sources and bronze
models, the page about the feeds. Run `python -m fvi_pipeline.feeds.generate` after a change of a description.

Nothing is read from publishers' files and nothing is executed in a database here.
"""

from fvi_pipeline.feeds.generate.landing_sql import landing_sql
from fvi_pipeline.feeds.generate.repository import NOTE, differences, generated_files, write

__all__ = ["NOTE", "differences", "generated_files", "landing_sql", "write"]
