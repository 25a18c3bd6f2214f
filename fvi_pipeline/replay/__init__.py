"""Gold rebuilt from what was known at a moment of the past, and compared with what is stored about that time.

The rebuilding is dbt's (`macros/as_of.sql`); here are the schemas that a replay gets, its run, and the comparison.
Moments that people type belong to `cli`, partitions to `defs`.
"""
