"""The dbt manifest, prepared in one place: parsed once per state of the project, whoever asks and however
many at once.

`prepare_if_dev` races between processes, so nothing else in this project parses dbt models. No model is run
here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from fvi_pipeline.platform.errors import PlatformError

_PARSED = ("*.sql", "*.yml", "*.yaml", "*.csv", "*.md")
_GENERATED_FOLDERS = {"target", "logs", "dbt_packages"}


def project_digest(project_dir: Path) -> str:
    """Digest of every file that dbt parses; it changes when a model, test or macro changes."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _PARSED for path in project_dir.rglob(pattern)):
        relative = path.relative_to(project_dir)
        # dbt notes a user's number in .user.yml, which is no part of the project
        if relative.parts[0] not in _GENERATED_FOLDERS and not path.name.startswith("."):
            digest.update(str(relative).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def ensure_manifest(project_dir: Path, home: Path) -> Path:
    """Path of `manifest.json` for the project as it stands, parsed now if it is not there yet (no server is
    needed).

    Raises:
        PlatformError: dbt cannot parse the project; its output follows.
    """
    folder = home / "dbt" / "manifests"
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / project_digest(project_dir) / "manifest.json"
    if manifest.exists():
        return manifest
    with FileLock(folder / "parse.lock"):
        if not manifest.exists():
            for outdated in folder.iterdir():
                if outdated.is_dir():
                    shutil.rmtree(outdated, ignore_errors=True)
            _parse(project_dir, home, manifest)
    return manifest


def _parse(project_dir: Path, home: Path, manifest: Path) -> None:
    with tempfile.TemporaryDirectory(dir=manifest.parent.parent, prefix=".parse-") as target:
        command = [str(Path(sys.executable).parent / "dbt"), "parse", "--quiet"]
        command += ["--project-dir", str(project_dir), "--profiles-dir", str(project_dir)]
        command += ["--target-path", target, "--log-path", str(home / "dbt" / "logs"), "--no-partial-parse"]
        environment = os.environ | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if result.returncode != 0:
            raise PlatformError(f"dbt cannot parse {project_dir}:\n{result.stdout}{result.stderr}")
        manifest.parent.mkdir(exist_ok=True)
        # renamed last: a reader sees the whole manifest or none
        (Path(target) / "manifest.json").replace(manifest)
