"""Files of the tracker alone: a mine of the world has an index, and nothing to be scored by."""

from __future__ import annotations

import shutil

import pytest

from tests.commands import clean_environment, run_fvi


@pytest.mark.slow  # a whole run of its own
def test_files_without_a_panel_give_an_index_and_no_score(simulated, tmp_path) -> None:
    folder = tmp_path / "landing"
    shutil.copytree(simulated[0] / "gem", folder / "gem")
    result = run_fvi(clean_environment(tmp_path / "home"), "run", "--source", str(folder))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "No champion" in result.stdout
    assert "! No model" in result.stdout
