"""Errors of the platform, each saying what to do. The domain's live beside the code that raises them."""


class PlatformError(RuntimeError):
    """A server, port or folder cannot be used; the message says which one and what to do about it."""
