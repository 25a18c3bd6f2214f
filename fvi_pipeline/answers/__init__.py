"""Answers in words: a question in, sentences out, each with what it rests on.

What is asked is read by `questions`, numbers come from `facts_*` over the marts, texts from passages behind a thin
Protocol, and `service` puts them together. Nothing here is opened or read from the environment at import. Finding
passages belongs to `evidence`; HTTP belongs to `serving` and `bentos`.
"""
