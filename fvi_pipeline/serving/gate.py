"""The guard's gate from the settings: which tokens are accepted, which limits hold. `guard` enforces them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.settings import Settings
from fvi_pipeline.serving.access import limited_names
from fvi_pipeline.serving.audit import AuditLog
from fvi_pipeline.serving.rate_limits import RateLimiter
from fvi_pipeline.serving.tokens import TokenVerifier, UnusableKeyError, rsa_keys

if TYPE_CHECKING:
    from fvi_pipeline.serving.redis_link import RedisLink


@dataclass(frozen=True)
class Gate:
    """What the settings say of callers."""

    verifier: TokenVerifier | None
    """Checks tokens; None: no tokens, and callers of this machine only."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Calls a minute by endpoint, in place of those of the rules (which hold for callers with tokens only)."""
    limiter: RateLimiter = field(default_factory=lambda: RateLimiter(None))
    audit: AuditLog | None = None
    cors_origins: tuple[str, ...] = ()
    maximum_in_flight: int = 256


def gate_of(settings: Settings, link: RedisLink | None, audit: AuditLog | None) -> Gate:
    """Make the gate, and note in the audit log how it stands.

    Raises PlatformError when a key or a limit cannot be used: the service must not start half guarded.
    """
    limits = settings.rate_limits or {}
    if unknown := sorted(set(limits) - limited_names()):
        raise PlatformError(
            f"FVI_RATE_LIMITS names {', '.join(unknown)}; there are {', '.join(sorted(limited_names()))}."
        )
    gate = Gate(
        verifier=verifier_of(settings),
        limits=limits,
        limiter=RateLimiter(link),
        audit=audit,
        cors_origins=settings.cors_origins or (),
    )
    if audit is not None:
        mode = "local" if gate.verifier is None else "token"
        audit.note("started", details={"auth": mode, "limits": dict(limits), "cors_origins": [*gate.cors_origins]})
    return gate


def verifier_of(settings: Settings) -> TokenVerifier | None:
    """What checks tokens, by the kind of key that is set; None without one. Raises PlatformError."""
    if settings.auth_secret is not None:
        key = settings.auth_secret.get_secret_value()
        return TokenVerifier([key], "HS256", settings.auth_audience, settings.auth_issuer)
    if settings.auth_public_key_file is None:
        return None
    try:
        keys = rsa_keys(settings.auth_public_key_file.read_text())
    except (OSError, ValueError) as error:
        reason = str(error) if isinstance(error, UnusableKeyError) else "cannot be read"
        raise PlatformError(f"FVI_AUTH_PUBLIC_KEY_FILE={settings.auth_public_key_file} {reason}.") from error
    return TokenVerifier(keys, "RS256", settings.auth_audience, settings.auth_issuer)
