"""JSON APIs of publishers: their answers, page by page, as files of the landing folder. What the files say is read by
the feeds' ordinary readers.
"""
