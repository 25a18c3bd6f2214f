"""The dbt manifest is parsed once for each state of a project, however many ask at once. Uses a project of
one model.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from fvi_pipeline.platform import dbt_manifest
from fvi_pipeline.platform.dbt_manifest import ensure_manifest, project_digest
from fvi_pipeline.platform.errors import PlatformError

_PROFILE = """\
tiny:
  target: t
  outputs:
    t: {type: postgres, host: localhost, port: 5432, user: u, password: p, dbname: d, schema: s}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: tiny\nversion: '1.0'\nprofile: tiny\nmodel-paths: [models]\n")
    (folder / "profiles.yml").write_text(_PROFILE)
    (folder / "models" / "one.sql").write_text("select 1 as a")
    return folder


def test_many_who_ask_at_once_get_one_parse(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parses: list[Path] = []
    parse = dbt_manifest._parse

    def counted(project_dir: Path, home: Path, manifest: Path) -> None:
        parses.append(manifest)
        parse(project_dir, home, manifest)

    monkeypatch.setattr(dbt_manifest, "_parse", counted)
    home = tmp_path / "home"
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(ensure_manifest(project, home))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(parses) == 1
    assert len(found) == 3
    assert len(set(found)) == 1
    assert "model.tiny.one" in json.loads(found[0].read_text())["nodes"]
    assert not (project / "target").exists()

    (project / "models" / "two.sql").write_text("select * from {{ ref('no_such_model') }}")
    with pytest.raises(PlatformError, match="no_such_model"):
        ensure_manifest(project, home)
    assert [path.name for path in (home / "dbt" / "manifests").iterdir() if path.is_dir()] == []


def test_only_what_dbt_parses_changes_the_digest(project: Path) -> None:
    before = project_digest(project)
    (project / ".user.yml").write_text("id: 1")
    (project / "target").mkdir()
    (project / "target" / "manifest.yml").write_text("")
    assert project_digest(project) == before
    (project / "models" / "one.sql").write_text("select 2 as a")
    assert project_digest(project) != before
