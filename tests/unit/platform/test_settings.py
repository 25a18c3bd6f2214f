"""Settings: read from the environment once, refused with a sentence when they cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from fvi_pipeline.platform.environment import shell_exports, watch_folder, watched_folder
from fvi_pipeline.platform.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "FVI_HOME",
        "FVI_DATABASE_URL",
        "FVI_REDIS_URL",
        "FVI_REDIS_PORT",
        "FVI_SOURCE",
        "MLFLOW_TRACKING_URI",
    ):
        monkeypatch.delenv(name, raising=False)


def test_every_setting_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FVI_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("FVI_DATABASE_URL", "postgresql://u@h/d")
    monkeypatch.setenv("FVI_REDIS_URL", "rediss://h:6380/1")
    monkeypatch.setenv("FVI_REDIS_PORT", "7001")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    monkeypatch.setenv("FVI_SEED", "7")
    settings = Settings()
    assert settings.home == tmp_path / "state"
    assert (settings.database_url, settings.redis_url) == ("postgresql://u@h/d", "rediss://h:6380/1")
    assert (settings.redis_port, settings.seed) == (7001, 7)
    assert settings.mlflow_tracking_uri == "http://mlflow:5000"


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FVI_DATABASE_URL", "")
    monkeypatch.setenv("FVI_REDIS_PORT", "")
    settings = Settings()
    assert settings.database_url is None
    assert settings.redis_port is None


def test_keys_of_apis_are_read_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FVI_EIA_API_KEY", "a-secret")
    monkeypatch.setenv("FVI_COMTRADE_API_KEY", "")
    settings = Settings()
    assert settings.api_keys == {"FVI_EIA_API_KEY": "a-secret"}
    assert "a-secret" not in f"{settings!r} {settings.model_dump()}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FVI_DATABASE_URL", "mysql://u@h/d"),
        ("FVI_DATABASE_URL", "postgresql://u:pass/word@h:5432/d"),
        ("FVI_DATABASE_URL", "postgresql://u@h:many/d"),
        ("FVI_REDIS_URL", "http://h"),
        ("FVI_REDIS_URL", "redis://[::1/0"),
        ("FVI_REDIS_PORT", "0"),
        ("FVI_HTTP_PORT", "65536"),
        ("FVI_SEED", "spring"),
        ("FVI_OPTUNA_TRIALS", "0"),
        ("FVI_AUTH", "nobody"),
        ("FVI_AUTH_SECRET", "short"),
        ("FVI_RATE_LIMITS", '{"/predict": 0}'),
        ("FVI_CORS_ORIGINS", "*"),
        ("FVI_CORS_ORIGINS", "https://app.example.org, https://*.example.org"),
        ("FVI_CORS_ORIGINS", "app.example.org"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert name.removeprefix("FVI_").lower() in str(caught.value.errors()[0]["loc"])


@pytest.mark.parametrize(
    ("values", "needed"),
    [
        ({"FVI_AUTH": "token"}, "needs FVI_AUTH_SECRET"),
        ({"FVI_AUTH": "local", "FVI_AUTH_SECRET": "s" * 32}, "takes no token"),
        ({"FVI_AUTH_SECRET": "s" * 32, "FVI_AUTH_PUBLIC_KEY_FILE": "/key.pem"}, "not both"),
        ({"FVI_REQUIRE_TLS": "1", "FVI_DATABASE_URL": "postgresql://u@db.example.org/d"}, "sslmode=verify-full"),
        ({"FVI_REQUIRE_TLS": "1", "FVI_DATABASE_URL": "postgresql://u@10.0.0.7/d?sslmode=require"}, "verify-full"),
        ({"FVI_REQUIRE_TLS": "1", "FVI_REDIS_URL": "redis://cache.example.org"}, "rediss://"),
        ({"FVI_REQUIRE_TLS": "1", "FVI_REDIS_URL": "rediss://cache?ssl_cert_reqs=none"}, "switch off the check"),
    ],
)
def test_settings_that_would_leave_a_door_open_are_refused(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], needed: str
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=needed) as caught:
        Settings()
    # a message ends in logs: it never repeats what was set
    assert "s" * 32 not in str(caught.value)


def test_tls_is_asked_for_on_other_machines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FVI_REQUIRE_TLS", "1")
    for database_url, redis_url in (
        ("postgresql://u@/d?host=/run/postgresql", "redis://127.0.0.1"),
        ("postgresql://u@localhost/d", "redis://localhost:6379/0"),
        ("postgresql://u@db/d?sslmode=verify-full&sslrootcert=/ca.pem", "rediss://cache?ssl_ca_certs=/ca.pem"),
    ):
        assert Settings(database_url=database_url, redis_url=redis_url).require_tls


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().cors_origins is None
    monkeypatch.setenv("FVI_CORS_ORIGINS", "https://app.example.org, http://localhost:8080")
    assert Settings().cors_origins == ("https://app.example.org", "http://localhost:8080")


def test_the_landing_folder_of_the_last_run_is_watched(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, source="sample")
    assert watched_folder(settings) == tmp_path / "simulated"
    watch_folder(settings, tmp_path / "my files")
    assert watched_folder(settings) == tmp_path / "my files"


def test_exports_survive_any_character() -> None:
    import subprocess

    value = 'it\'s $HOME `x` "y" \\ ; & |\nnext'
    lines = shell_exports({"FVI_TEST_VALUE": value}, Path("/opt/an env/bin"))
    script = f'{lines}\nprintf %s "$FVI_TEST_VALUE"; case "$PATH" in "/opt/an env/bin":*) ;; *) exit 1;; esac'
    result = subprocess.run(["bash", "-u", "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == value


def test_the_dbt_of_a_shell_is_the_one_that_waits_for_its_turn(tmp_path: Path) -> None:
    import subprocess

    command = tmp_path / "fvi-dbt"
    command.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    command.chmod(0o755)
    script = f"{shell_exports({}, tmp_path)}\ndbt build --select 'a b'"
    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "build|--select|a b|"
