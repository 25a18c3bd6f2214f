"""`fvi token`: a bearer token for a caller, signed with this installation's own secret.

Who may have one is for whoever runs the command to know. With FVI_AUTH_PUBLIC_KEY_FILE tokens are made elsewhere.
"""

from __future__ import annotations

import time
from typing import Annotated

import typer

from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.settings import get_settings


def token(
    client: Annotated[str, typer.Argument(help="Who will call; stands in the log of predictions.")],
    scope: Annotated[list[str] | None, typer.Option(help="predict, explain, chat or admin; may be repeated.")] = None,
    minutes: Annotated[int, typer.Option(min=1, max=525_600, help="How long it holds.")] = 60,
) -> None:
    """Print a bearer token that the scoring service accepts (FVI_AUTH_SECRET must be the service's)."""
    import jwt

    from fvi_pipeline.serving.access import SCOPES
    from fvi_pipeline.serving.gate import verifier_of
    from fvi_pipeline.serving.tokens import TokenError

    settings = get_settings()
    if settings.auth_secret is None:
        raise PlatformError("FVI_AUTH_SECRET is not set: without it this installation signs no tokens.")
    scopes = scope or ["predict"]
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise PlatformError(f"There is no scope {', '.join(unknown)}; there are {', '.join(SCOPES)}.")
    now = int(time.time())
    claims = {
        "sub": client,
        "aud": settings.auth_audience,
        "iat": now,
        "exp": now + 60 * minutes,
        "scope": " ".join(scopes),
        **({"iss": settings.auth_issuer} if settings.auth_issuer else {}),
    }
    made = jwt.encode(claims, settings.auth_secret.get_secret_value(), algorithm="HS256")
    verifier = verifier_of(settings)
    try:
        if verifier is not None:
            verifier.verify(made)
    except TokenError as error:
        raise PlatformError(f"The service would not accept it: {error.reason}") from error
    print(made)
