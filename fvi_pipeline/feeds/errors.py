"""Errors of the feeds, each a sentence that a person can act on."""


class FeedError(Exception):
    """Files cannot be taken in; the message says why and what to do."""


class UnreadableFileError(FeedError):
    """One file cannot be read as its feed describes it. The ingest records the message and goes on."""


class PublishersUnreachable(FeedError):
    """No publisher answered, so nothing could be downloaded."""
