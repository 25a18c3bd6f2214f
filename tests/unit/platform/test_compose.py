"""compose.yaml against the code: what it passes is read, what it starts exists, what it promises of safety
holds.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings

BIN = Path(sys.executable).parent
_OURS = ("fvi", "mlflow", "dagster", "dagster-webserver", "dagster-daemon", "python")
# read by MLflow's own server, which is started without FVI's environment
_OF_TOOLS = {"MLFLOW_BACKEND_STORE_URI"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "compose.yaml").read_text())
    return loaded


@pytest.fixture(scope="module")
def our_services(compose: dict[str, Any]) -> dict[str, Any]:
    return {name: service for name, service in compose["services"].items() if service["image"].startswith("fvi:")}


def test_it_meets_the_specification() -> None:
    command = [
        BIN / "check-jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        PROJECT_ROOT / "compose.yaml",
    ]
    subprocess.run(command, check=True, capture_output=True)


def test_every_part_of_the_system_is_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {
        "postgres",
        "redis",
        "bootstrap",
        "mlflow",
        "code-server",
        "webserver",
        "daemon",
        "bento",
        "run",
    }


def test_every_variable_that_is_passed_is_one_that_is_read(our_services: dict[str, Any], tmp_path: Path) -> None:
    fields = Settings.model_fields.items()
    read = {str(field.validation_alias or f"FVI_{name.upper()}") for name, field in fields}
    servers = Servers("postgresql://u@h/d", "redis://h:6379/0")
    read |= set(tool_environment(Settings(home=tmp_path), servers)) | _OF_TOOLS
    for name, service in our_services.items():
        assert set(service.get("environment", {})) <= read, name


def test_every_command_exists(our_services: dict[str, Any]) -> None:
    for name, service in our_services.items():
        for command in (service["command"], service.get("healthcheck", {}).get("test", ["CMD", "fvi"])[1:]):
            program = command[0]
            if "/" in program:
                script = PROJECT_ROOT / program
                assert script.stat().st_mode & 0o111, name
                subprocess.run(["bash", "-n", script], check=True)
                continue
            assert program in _OURS, name
            assert (BIN / program).exists(), name


def test_the_code_server_is_where_the_workspace_looks(compose: dict[str, Any]) -> None:
    workspace = yaml.safe_load((PROJECT_ROOT / "docker" / "workspace.yaml").read_text())
    server = workspace["load_from"][0]["grpc_server"]
    command = compose["services"][server["host"]]["command"]
    assert command[command.index("--port") + 1] == str(server["port"])
    assert command[command.index("--module-name") + 1] == "fvi_pipeline.definitions"
    for name in ("webserver", "daemon"):
        assert "docker/workspace.yaml" in compose["services"][name]["command"]


def test_ports_are_on_loopback_images_are_pinned_and_passwords_come_from_outside(
    compose: dict[str, Any],
) -> None:
    for name, service in compose["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert re.search(r":[\w.-]+$", service["image"]), name
        assert not service["image"].endswith(":latest"), name
    text = (PROJECT_ROOT / "compose.yaml").read_text()
    for variable in ("FVI_POSTGRES_PASSWORD", "FVI_REDIS_PASSWORD"):
        assert set(re.findall(rf"\${{{variable}[^}}]*}}", text)) == {f"${{{variable}:?set it in .env}}"}


def test_what_is_waited_for_can_become_healthy(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], (name, needed)
            assert "profiles" not in services[needed], (name, needed)


def test_addresses_can_be_read_by_settings(our_services: dict[str, Any]) -> None:
    environment = json.loads(
        re.sub(r"\$\{\w+:\?[^}]*\}", "s3cret", json.dumps(our_services["code-server"]["environment"]))
    )
    settings = Settings(database_url=environment["FVI_DATABASE_URL"], redis_url=environment["FVI_REDIS_URL"])
    assert urlsplit(str(settings.database_url)).hostname == "postgres"
    assert urlsplit(str(settings.redis_url)).hostname == "redis"


def test_named_volumes_are_declared(compose: dict[str, Any]) -> None:
    used = {
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if not volume.startswith(("$", ".", "/"))
    }
    assert used == set(compose["volumes"])


def test_the_lock_names_the_torch_that_the_image_installs_first() -> None:
    assert re.search(r"^torch==\d+\.\d+\.\d+$", (PROJECT_ROOT / "requirements.lock").read_text(), re.MULTILINE)
