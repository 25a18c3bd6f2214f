"""Shaping of database and Redis addresses: nothing that a person may put into a URL gets lost or changed."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from fvi_pipeline.platform.database import connect, connection_parts, redacted, with_search_path
from fvi_pipeline.platform.environment import feast_redis_string
from fvi_pipeline.platform.errors import PlatformError

_text = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=("Cs", "Cc")),
    min_size=1,
    max_size=20,
)
_host = st.from_regex(r"[a-z][a-z0-9-]{0,10}(\.[a-z]{2,5})?", fullmatch=True)
_folder = st.from_regex(r"(/[A-Za-z0-9_.+ ,-]{1,12}){1,4}", fullmatch=True)
_port = st.integers(1, 65535)


def _quoted(text: str) -> str:
    return quote(text, safe="")


@given(_text, _text, _host, _port, _text)
def test_parts_of_a_network_address_are_those_that_libpq_reads(
    user: str, password: str, host: str, port: int, database: str
) -> None:
    url = f"postgresql://{_quoted(user)}:{_quoted(password)}@{host}:{port}/{_quoted(database)}"
    parts = connection_parts(url)
    by_libpq = conninfo_to_dict(url)
    assert (parts["user"], parts["password"]) == (user, password) == (by_libpq["user"], by_libpq["password"])
    assert (parts["host"], parts["port"]) == (host, str(port)) == (by_libpq["host"], by_libpq["port"])
    assert parts["database"] == database == by_libpq["dbname"]
    assert parts["sslmode"] == "prefer"


@given(_folder)
def test_parts_of_a_socket_address_are_those_that_libpq_reads(folder: str) -> None:
    url = f"postgresql://postgres@/fvi?host={quote(folder, safe='/+')}&port=5432"
    parts = connection_parts(url)
    assert parts["host"] == folder == conninfo_to_dict(url)["host"]
    assert (parts["user"], parts["password"], parts["database"]) == ("postgres", "", "fvi")
    assert parts["sslmode"] == "disable"  # a socket cannot speak TLS


@given(_folder, st.sampled_from(["dagster", "mlflow", "optuna", "feast"]))
def test_search_path_is_the_only_change(folder: str, schema: str) -> None:
    url = f"postgresql://postgres@/fvi?host={quote(folder, safe='/+')}"
    seen = conninfo_to_dict(with_search_path(url, schema))
    assert seen.pop("options") == f"-csearch_path={schema}"
    assert seen == conninfo_to_dict(url)


def test_search_path_keeps_the_options_of_the_user_and_wins_over_an_earlier_path() -> None:
    url = with_search_path(with_search_path("postgresql://u@h/d?options=-cwork_mem%3D8MB", "feast"), "mlflow")
    options = str(conninfo_to_dict(url)["options"])
    assert options.startswith("-cwork_mem=8MB ")
    assert options.endswith("-csearch_path=mlflow")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:se:cret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:h@h/d", "postgresql://u:***@h/d"),
        (
            "postgresql://u@h/d?password=secret&sslmode=require",
            "postgresql://u@h/d?password=***&sslmode=require",
        ),
        ("redis://:secret@127.0.0.1:6379/0", "redis://:***@127.0.0.1:6379/0"),
        ("postgresql://postgres@/fvi?host=/a/b", "postgresql://postgres@/fvi?host=/a/b"),
    ],
)
def test_no_password_is_printed(url: str, expected: str) -> None:
    assert redacted(url) == expected


@given(_text, _text, _host, _port, st.integers(0, 15))
def test_feast_reads_the_same_redis(user: str, password: str, host: str, port: int, number: int) -> None:
    url = f"rediss://{_quoted(user)}:{_quoted(password)}@{host}:{port}/{number}"
    nodes, parameters = _as_feast_reads_it(feast_redis_string(url))
    assert nodes == [{"host": host, "port": str(port)}]
    assert parameters == {"username": user, "password": password, "db": number, "ssl": True}


@pytest.mark.parametrize("password", ["0123", "12", "true", "null", "a,b", '"quoted"', "1e5"])
def test_feast_reads_a_password_that_looks_like_something_else(password: str) -> None:
    _, parameters = _as_feast_reads_it(feast_redis_string(f"redis://:{_quoted(password)}@cache:6379/0"))
    assert parameters["password"] == password


def test_feast_cannot_be_given_an_ipv6_address() -> None:
    with pytest.raises(PlatformError, match="IPv6"):
        feast_redis_string("redis://[::1]:6379/0")


def test_an_address_that_nothing_answers_at_is_a_clear_error_without_the_password() -> None:
    with pytest.raises(PlatformError, match="FVI_DATABASE_URL") as caught:
        connect("postgresql://u:secret@127.0.0.1:1/d")
    assert "secret" not in str(caught.value)


def test_a_malformed_address_is_a_clear_error() -> None:
    with pytest.raises(PlatformError, match="does not answer"):
        connect("postgresql://u@h/d?no_such_option=1")


def _as_feast_reads_it(text: str) -> tuple[list[dict[str, str]], dict[str, object]]:
    """The same cuts as `RedisOnlineStore._parse_connection_string`, which takes seconds to import."""
    nodes = [dict(zip(["host", "port"], part.split(":"), strict=True)) for part in text.split(",") if "=" not in part]
    parameters: dict[str, object] = {}
    for name, value in (part.split("=", 1) for part in text.split(",") if "=" in part):
        try:
            parameters[name] = json.loads(value)
        except ValueError:
            parameters[name] = value
    return nodes, parameters
