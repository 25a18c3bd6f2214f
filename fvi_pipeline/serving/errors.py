"""Errors that a caller is told: each has a status, a code for programs and a sentence for people."""


class ServingError(Exception):
    """An answer of the form {error: {code, message}}."""

    status = 500
    code = "internal_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UnknownMineError(ServingError):
    """No such mine in the online store."""

    status = 404
    code = "unknown_mine"


class InvalidRequestError(ServingError):
    """The request cannot be answered as it stands."""

    status = 422
    code = "invalid_request"


class TooLargeError(ServingError):
    """The body or the batch is beyond its limit."""

    status = 413
    code = "too_large"


class StoreUnavailableError(ServingError):
    """Redis, PostgreSQL or the RAG runner does not answer; asking again later may help."""

    status = 503
    code = "store_unavailable"
