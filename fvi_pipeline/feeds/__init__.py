"""Publishers' files into the landing tables.

Here belongs what knows a publisher's form: descriptions of the feeds, readers, types, times of knowing, the
ledger, and the download. What facts mean together is dbt's work; when to take files in is Dagster's.
"""
