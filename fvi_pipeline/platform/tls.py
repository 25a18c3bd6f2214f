"""Whether an address of PostgreSQL or Redis is spoken to under TLS with a checked certificate. Opens nothing."""

from __future__ import annotations

import ipaddress
import ssl
from urllib.parse import parse_qsl, urlsplit

_CHECKED_MODES = ("verify-ca", "verify-full")


def why_not_private(url: str) -> str | None:
    """Return what an address lacks so that nobody between can read or answer; None when it lacks nothing.

    A Unix socket and this machine's own addresses need no TLS.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    host = query.get("host") or parts.hostname or ""
    if host.startswith("/") or _is_this_machine(host):
        return None
    if parts.scheme in ("redis", "rediss"):
        if parts.scheme == "redis":
            return "write rediss:// (and ?ssl_ca_certs=FILE for a certificate authority of your own)"
        if query.get("ssl_cert_reqs", "required") != "required" or query.get("ssl_check_hostname", "true") != "true":
            return "do not switch off the check of the certificate in it"
        return None
    if query.get("sslmode") not in _CHECKED_MODES:
        return "add ?sslmode=verify-full&sslrootcert=FILE to it (FILE may be `system`)"
    return None


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def redis_tls(url: str) -> ssl.SSLContext | None:
    """How to speak TLS to the Redis of a rediss:// address, as redis-py reads it; None for redis://."""
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return None
    query = dict(parse_qsl(parts.query))
    context = ssl.create_default_context(cafile=query.get("ssl_ca_certs"))
    if query.get("ssl_check_hostname", "true").lower() in ("false", "0", "no"):
        context.check_hostname = False
    if query.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if "ssl_certfile" in query:
        context.load_cert_chain(query["ssl_certfile"], query.get("ssl_keyfile"))
    return context
