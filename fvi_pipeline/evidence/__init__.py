"""Evidence: documents in, passages out.

Documents and notes become rows of landing.documents, are cut into chunks, embedded, and found again
by meaning. What reads publishers' tables is in `feeds`; what answers over HTTP is in `bentos`.
"""
