"""Building the Bento: same inputs, same tag; and `latest` is the champion, also after a rollback."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from fvi_pipeline.model.scoring import BOOSTER_FILE, METADATA_FILE, ONNX_FILE
from tests.commands import run_tool

BUILD = """
import sys
from pathlib import Path
from bentos.build import build_bento
import bentoml
tags = []
for argument in sys.argv[1:]:
    folder, version = argument.split("=")
    tags.append(build_bento(Path(folder), version))
    latest = bentoml.get("fvi:latest")
    assert str(latest.tag) == tags[-1], latest.tag
print("TAGS", *tags)
print("MODELS", *[bentoml.get(tag).info.all_models[0].tag for tag in tags])
"""


@pytest.fixture
def environment(tmp_path):
    return os.environ | {"BENTOML_HOME": str(tmp_path / "bentoml"), "BENTOML_DO_NOT_TRACK": "1"}


def model_folder(folder: Path, content: bytes) -> Path:
    """The three files by name: building copies them and never looks inside."""
    folder.mkdir()
    for name in (ONNX_FILE, BOOSTER_FILE, METADATA_FILE):
        (folder / name).write_bytes(content)
    return folder


def build(environment, *folders_and_versions):
    result = run_tool(environment, sys.executable, "-c", BUILD, *folders_and_versions)
    assert result.returncode == 0, result.stderr
    lines = dict(line.split(" ", 1) for line in result.stdout.splitlines() if line.startswith(("TAGS", "MODELS")))
    return lines["TAGS"].split(), lines["MODELS"].split()


def test_the_same_inputs_give_the_same_tag_and_a_rollback_is_latest(environment, tmp_path):
    (tmp_path / "bentoml").mkdir()
    first, second = model_folder(tmp_path / "a", b"first"), model_folder(tmp_path / "b", b"second")
    tags, models = build(environment, f"{first}=1", f"{second}=2", f"{first}=1")
    assert tags[0] == tags[2] != tags[1]
    assert tags[0].startswith("fvi:1-")
    assert models[0] == models[2] != models[1]
    bento = tmp_path / "bentoml" / "bentos" / "fvi" / tags[0].split(":")[1]
    assert (bento / "src" / "bentos" / "fvi_service.py").is_file()
    assert (bento / "src" / "feature_repo" / "feature_store.yaml").is_file()

    # what a kill in mid-build leaves is built again, under the same tag
    (bento / ".fvi-complete").unlink()
    shutil.rmtree(bento / "src")
    again, _ = build(environment, f"{first}=1")
    assert again == tags[:1]
    assert (bento / "src" / "bentos" / "fvi_service.py").is_file()


def test_a_folder_without_a_model_says_what_is_missing(environment, tmp_path):
    (tmp_path / "bentoml").mkdir()
    result = run_tool(environment, sys.executable, "-c", BUILD, f"{tmp_path}=1")
    assert result.returncode != 0
    assert "lacks model.onnx" in result.stderr
