"""Which tokens are accepted: signature, algorithm, audience, expiry, subject."""

import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.settings import Settings
from fvi_pipeline.serving.gate import verifier_of
from fvi_pipeline.serving.tokens import TokenError, TokenVerifier, UnusableKeyError, rsa_keys

SECRET = "a-shared-secret-of-more-than-32-bytes"


@pytest.fixture(scope="module")
def private_keys():
    return [rsa.generate_private_key(public_exponent=65_537, key_size=2_048) for _ in range(2)]


def pem_of(key) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def claims(**changes):
    stated = {"sub": "lender", "aud": "fvi", "exp": time.time() + 60, "scope": "predict chat", **changes}
    return {name: value for name, value in stated.items() if value is not None}


def signed(key=SECRET, algorithm="HS256", **changes):
    return jwt.encode(claims(**changes), key, algorithm=algorithm)


def unsigned(header, body):
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, body))
    return ".".join(parts) + "."


@pytest.fixture
def verifier():
    return TokenVerifier([SECRET], "HS256", "fvi")


def test_a_good_token_says_who_and_what_for(verifier):
    caller = verifier.verify(signed())
    assert (caller.client, caller.scopes) == ("lender", {"predict", "chat"})
    assert verifier.verify(signed(scope=["explain", "root", 5])).scopes == {"explain"}
    assert verifier.verify(signed(scope=None)).scopes == set()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": time.time() - 60}, "expired"),
        ({"exp": None}, "no exp"),
        ({"aud": "another"}, "another audience"),
        ({"aud": ["one", "two"]}, "another audience"),
        ({"aud": None}, "no aud"),
        ({"sub": None}, "no sub"),
        ({"sub": ""}, "subject"),
        ({"sub": "x" * 101}, "subject"),
        ({"sub": "two\nlines"}, "subject"),
        ({"sub": 5}, "not valid"),
        ({"nbf": time.time() + 86_400}, "not valid yet"),
        ({"exp": "soon"}, "not valid"),
    ],
)
def test_other_claims_are_refused_with_their_reason(verifier, changes, reason):
    # signed by hand: the library refuses to make some of these
    token = jwt.api_jws.encode(json.dumps(claims(**changes)).encode(), SECRET, algorithm="HS256")
    with pytest.raises(TokenError, match=reason):
        verifier.verify(token)


def test_forged_and_broken_tokens_are_refused(verifier):
    good = signed()
    head, _, signature = good.split(".")
    other = signed(sub="owner")
    broken = [
        signed(key="another-secret-of-more-than-32-bytes!"),
        ".".join((head, other.split(".")[1], signature)),
        unsigned({"alg": "none", "typ": "JWT"}, claims()),
        unsigned({"alg": "HS256", "typ": "JWT"}, claims()),
        signed(algorithm="HS512"),
        "", "a", "a.b.c", "..", good[:-3], f"{head}.{'A' * 9_000}.{signature}", "\xff\xfe.a.b",
    ]  # fmt: skip
    for token in broken:
        with pytest.raises(TokenError):
            verifier.verify(token)


def test_a_public_key_is_no_shared_secret(private_keys):
    pem = pem_of(private_keys[0])
    verifier = TokenVerifier(rsa_keys(pem), "RS256", "fvi")
    assert verifier.verify(signed(private_keys[0], "RS256")).client == "lender"
    head, body = (unsigned({"alg": "HS256"}, claims()).rstrip(".")).split(".")
    import hashlib
    import hmac

    mark = hmac.new(pem.encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    with pytest.raises(TokenError):
        verifier.verify(f"{head}.{body}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}")


def test_keys_can_be_replaced_while_tokens_of_the_old_one_live(private_keys):
    old, new = private_keys
    verifier = TokenVerifier(rsa_keys(pem_of(old) + pem_of(new)), "RS256", "fvi")
    assert {verifier.verify(signed(key, "RS256")).client for key in (old, new)} == {"lender"}
    with pytest.raises(TokenError):
        TokenVerifier(rsa_keys(pem_of(new)), "RS256", "fvi").verify(signed(old, "RS256"))


def test_a_remembered_token_still_expires(verifier, monkeypatch):
    token = signed(exp=int(time.time()) + 60)
    verifier.verify(token)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 70)
    with pytest.raises(TokenError, match="expired"):
        verifier.verify(token)


def test_an_issuer_is_asked_for_once_it_is_set():
    verifier = TokenVerifier([SECRET], "HS256", "fvi", issuer="https://id.example.org")
    assert verifier.verify(signed(iss="https://id.example.org")).client == "lender"
    for issuer in (None, "https://elsewhere.example.org"):
        with pytest.raises(TokenError):
            verifier.verify(signed(iss=issuer))


@pytest.mark.parametrize("kind", ["empty", "text", "small", "elliptic", "private"])
def test_keys_that_cannot_be_used_are_refused(kind, private_keys, tmp_path):
    private = private_keys[0].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = {
        "empty": "",
        "text": "no key",
        "small": pem_of(rsa.generate_private_key(public_exponent=65_537, key_size=1_024)),
        "elliptic": pem_of(ec.generate_private_key(ec.SECP256R1())),
        "private": private.decode(),
    }[kind]
    with pytest.raises(UnusableKeyError):
        rsa_keys(pem)
    file = tmp_path / "key.pem"
    file.write_text(pem)
    with pytest.raises(PlatformError, match="FVI_AUTH_PUBLIC_KEY_FILE"):
        verifier_of(Settings(home=tmp_path, auth_public_key_file=file))


def test_the_settings_choose_the_verifier(private_keys, tmp_path):
    file = tmp_path / "key.pem"
    file.write_text(pem_of(private_keys[0]))
    assert verifier_of(Settings(home=tmp_path)) is None
    by_secret = verifier_of(Settings(home=tmp_path, auth_secret=SECRET, auth_audience="scores"))
    assert by_secret.verify(signed(aud="scores")).client == "lender"
    by_key = verifier_of(Settings(home=tmp_path, auth_public_key_file=file))
    assert by_key.verify(signed(private_keys[0], "RS256")).client == "lender"
    with pytest.raises(PlatformError, match="cannot be read"):
        verifier_of(Settings(home=tmp_path, auth_public_key_file=tmp_path / "none"))


def test_the_command_makes_tokens_that_the_service_accepts(monkeypatch, tmp_path):
    from typer.testing import CliRunner

    from fvi_pipeline.cli.main import app
    from fvi_pipeline.platform.settings import get_settings

    monkeypatch.setenv("FVI_HOME", str(tmp_path))
    monkeypatch.setenv("FVI_AUTH_SECRET", SECRET)
    monkeypatch.setenv("FVI_AUTH_ISSUER", "https://id.example.org")
    get_settings.cache_clear()
    try:
        made = CliRunner().invoke(app, ["token", "lender", "--scope", "predict", "--scope", "chat", "--minutes", "5"])
        refused = CliRunner().invoke(app, ["token", "lender", "--scope", "root"])
        monkeypatch.delenv("FVI_AUTH_SECRET")
        get_settings.cache_clear()
        unsigned = CliRunner().invoke(app, ["token", "lender"])
    finally:
        get_settings.cache_clear()
    verifier = TokenVerifier([SECRET], "HS256", "fvi", "https://id.example.org")
    assert verifier.verify(made.output.strip()).scopes == {"predict", "chat"}
    assert "no scope root" in str(refused.exception)
    assert "FVI_AUTH_SECRET is not set" in str(unsigned.exception)
