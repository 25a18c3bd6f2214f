"""Files that are not whole yet are told from those that are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fvi_pipeline.feeds.arrivals import is_partial_name, still_arriving

_HOLD = "import sys; file = open(sys.argv[1], 'a'); print('open', flush=True); sys.stdin.read()"


def _old(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("Year\n2019\n")
    return path


@pytest.mark.parametrize("name", ["a.csv.part", "a.csv.crdownload", "a.XLSX.PARTIAL", "~$a.xlsx", "a.csv~", ".~lock.a"])
def test_names_that_say_it(tmp_path: Path, name: str) -> None:
    _old(tmp_path / "eia_coal" / name)
    assert is_partial_name(name)
    assert still_arriving(tmp_path) == {f"eia_coal/{name}"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how a file was opened")
def test_a_file_waits_while_a_process_has_it_open_for_writing(tmp_path: Path) -> None:
    written, read = _old(tmp_path / "eia_coal" / "written.csv"), _old(tmp_path / "eia_coal" / "read.csv")
    with (
        read.open(),
        subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(written)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as writer,
    ):
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        assert still_arriving(tmp_path) == {"eia_coal/written.csv"}
        writer.communicate("")
    assert still_arriving(tmp_path) == frozenset()


def test_a_fresh_copy_with_an_old_date_has_to_settle(tmp_path: Path) -> None:
    original = _old(tmp_path / "elsewhere.csv")
    os.utime(original, (1e9, 1e9))
    folder = tmp_path / "landing"
    folder.mkdir()
    shutil.copy2(original, folder / "copy.csv")
    assert still_arriving(folder, settle_seconds=60) == {"copy.csv"}
    assert still_arriving(folder) == frozenset(), "who calls us without waiting knows that the copy is whole"
