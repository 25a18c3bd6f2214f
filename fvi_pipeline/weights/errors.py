"""Errors of weights and index. Errors of servers belong to the platform."""


class WeightsError(ValueError):
    """Weights or metrics do not fit together; the message says which and what to run."""


class EngineError(RuntimeError):
    """The engine cannot compute; the message says what to install, set or run."""
