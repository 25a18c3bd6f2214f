"""PostgreSQL and Valkey through TLS, with a certificate authority of one's own: checked, or no connection."""

import asyncio
import datetime
import socket
import ssl
import threading
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from fvi_pipeline.platform.database import connection_parts
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import Settings
from fvi_pipeline.platform.tls import redis_tls
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.redis_link import RedisLink

_SSL_REQUEST_BYTES = 8


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate of localhost that is its own authority, in front of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName("localhost")]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "server.pem").write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


@pytest.fixture
def tls_before(certificate):
    """Put TLS before a server that has none; return the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "server.pem")
    listeners = []

    def start(open_target, *, asks_first=False) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        def serve(client):
            try:
                if asks_first:  # PostgreSQL's clients ask whether there is TLS
                    client.recv(_SSL_REQUEST_BYTES)
                    client.sendall(b"S")
                secured = context.wrap_socket(client, server_side=True)
                target = open_target()
            except OSError:
                client.close()
                return
            threading.Thread(target=pump, args=(target, secured), daemon=True).start()
            pump(secured, target)

        threading.Thread(target=accept, daemon=True).start()
        return listener.getsockname()[1]

    def pump(source, target):
        try:
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    yield start
    for listener in listeners:
        listener.close()


def test_redis_is_spoken_to_under_a_checked_certificate_or_not_at_all(redis_url, certificate, tls_before):
    parts = urlsplit(redis_url)
    port = tls_before(lambda: socket.create_connection((parts.hostname, parts.port)))
    address = f"rediss://:{parts.password}@localhost:{port}/0"
    good = f"{address}?ssl_ca_certs={certificate / 'ca.pem'}"

    async def ping(url):
        link = RedisLink(url, redis_tls(url))
        await link.start()
        try:
            return (await link.call([("PING",)]))[0]
        finally:
            await link.close()

    assert asyncio.run(ping(good)) == b"PONG"
    with redis.Redis.from_url(good) as client:
        assert client.ping()
    # an authority that nobody knows, and a name that the certificate does not have
    for url in (address, good.replace("localhost", "127.0.0.1")):
        with pytest.raises(StoreUnavailableError):
            asyncio.run(ping(url))
    assert redis_tls(redis_url) is None
    assert redis_tls(f"{address}?ssl_cert_reqs=none").verify_mode == ssl.CERT_NONE


def test_postgresql_is_spoken_to_under_a_checked_certificate_or_not_at_all(servers, certificate, tls_before, tmp_path):
    parts = connection_parts(servers.database_url)

    def open_target():
        target = socket.socket(socket.AF_UNIX)
        target.connect(f"{parts['host']}/.s.PGSQL.{parts['port']}")
        return target

    port = tls_before(open_target, asks_first=True)
    address = f"postgresql://postgres@localhost:{port}/{parts['database']}?sslmode=verify-full"
    good = f"{address}&sslrootcert={certificate / 'ca.pem'}"
    with psycopg.connect(good) as connection:
        assert connection.pgconn.ssl_in_use
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"{address}&sslrootcert=system")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(f"{good}&hostaddr=127.0.0.1&host=elsewhere.example.org")
    # what dbt and Feast get is parts of the address: libpq finds the authority in the environment
    tools = tool_environment(Settings(home=tmp_path), Servers(good, "redis://localhost"))
    assert (tools["PGSSLMODE"], tools["PGSSLROOTCERT"]) == ("verify-full", str(certificate / "ca.pem"))
