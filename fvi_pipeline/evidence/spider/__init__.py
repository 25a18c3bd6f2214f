"""Pages of Global Energy Monitor's wiki into landing.documents, through the MediaWiki API.

`client` asks the wiki, `extraction` makes text of a page, `state` remembers in PostgreSQL where the crawl is, `crawl`
goes through the pages. Which pages there are follows from the tracker's files.
"""
