"""Bearer tokens: who calls, and what for. JSON Web Tokens, checked by PyJWT with one key and one algorithm.

Which endpoint needs which scope belongs in `access`; making tokens belongs to whoever knows the callers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from fvi_pipeline.serving.access import SCOPES

LEEWAY_SECONDS = 5
SECRET_BYTES = 32
_RSA_BITS = 2_048
_TOKEN_CHARACTERS = 4_096
_SUBJECT_CHARACTERS = 100
_REMEMBERED = 4_096
_PEM_END = "-----END PUBLIC KEY-----"


class UnusableKeyError(ValueError):
    """A key cannot be used; the message says why."""


class TokenError(Exception):
    """The token is not accepted; the reason may be told to whoever sent it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Caller:
    """Who calls, and the scopes that they have."""

    client: str
    scopes: frozenset[str]


class TokenVerifier:
    """Checks signature, algorithm, audience, issuer, expiry and subject of tokens."""

    def __init__(
        self,
        keys: Sequence[str | RSAPublicKey],
        algorithm: Literal["RS256", "HS256"],
        audience: str,
        issuer: str | None = None,
    ) -> None:
        """`keys`: any of them may have signed, so that a key can be replaced while old tokens live."""
        self._keys = list(keys)
        # One algorithm, decided by the kind of key: a token's own header must not choose.
        self._algorithms = [algorithm]
        self._audience = audience
        self._issuer = issuer
        self._options: Any = {"require": ["exp", "aud", "sub", *(["iss"] if issuer else [])]}
        self._remembered: dict[str, tuple[Caller, float]] = {}

    def verify(self, token: str) -> Caller:
        """Return who the token speaks for; raise TokenError."""
        remembered = self._remembered.get(token)
        if remembered is not None:
            # Only what was true for good is remembered; expiry is looked at every time.
            if time.time() >= remembered[1]:
                del self._remembered[token]
                raise TokenError("The token has expired.")
            return remembered[0]
        if len(token) > _TOKEN_CHARACTERS:
            raise TokenError("The token is not valid.")
        claims = self._claims(token)
        subject = claims["sub"]
        if not 0 < len(subject) <= _SUBJECT_CHARACTERS or not subject.isprintable():
            raise TokenError("The token's subject cannot be used.")
        caller = Caller(subject, _scopes(claims))
        if len(self._remembered) >= _REMEMBERED:
            self._remembered.clear()
        self._remembered[token] = caller, float(claims["exp"]) + LEEWAY_SECONDS
        return caller

    def _claims(self, token: str) -> dict[str, Any]:
        for key in self._keys:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    key,
                    algorithms=self._algorithms,
                    audience=self._audience,
                    issuer=self._issuer,
                    leeway=LEEWAY_SECONDS,
                    options=self._options,
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError:
                raise TokenError("The token has expired.") from None
            except (jwt.InvalidAudienceError, jwt.InvalidIssuerError):
                raise TokenError("The token is for another audience, or from another issuer.") from None
            except jwt.ImmatureSignatureError:
                raise TokenError("The token is not valid yet.") from None
            except jwt.MissingRequiredClaimError as error:
                raise TokenError(f"The token has no {error.claim}.") from None
            except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
                raise TokenError("The token is not valid.") from None
            return claims
        raise TokenError("The token is not valid.")


def rsa_keys(pem: str) -> list[RSAPublicKey]:
    """Read one or more public keys in PEM; raise UnusableKeyError."""
    keys = []
    for block in filter(str.strip, pem.split(_PEM_END)):
        try:
            key = load_pem_public_key(f"{block.strip()}\n{_PEM_END}\n".encode())
        except (ValueError, UnsupportedAlgorithm):
            raise UnusableKeyError("is no public key in PEM (-----BEGIN PUBLIC KEY-----)") from None
        if not isinstance(key, RSAPublicKey) or key.key_size < _RSA_BITS:
            raise UnusableKeyError(f"must be an RSA key of {_RSA_BITS:,} bits or more")
        keys.append(key)
    if not keys:
        raise UnusableKeyError("is empty")
    return keys


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """The scopes that mean something here: `scope`, words in a text, or a list."""
    stated = claims.get("scope", [])
    words = stated.split() if isinstance(stated, str) else stated if isinstance(stated, list) else []
    return frozenset(word for word in words if isinstance(word, str) and word in SCOPES)
