"""docs/operations.md against the code: every setting with its default, every message that it explains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings

_TEXT = (PROJECT_ROOT / "docs" / "operations.md").read_text()


def test_the_table_of_settings_is_the_code_s() -> None:
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| `?([^`|]+?)`? \|", _TEXT, re.MULTILINE))
    expected = {}
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, Path):
            default = default.relative_to(PROJECT_ROOT)
        variable = str(field.validation_alias or f"FVI_{name.upper()}")
        expected[variable] = "unset" if default is None else str(default)
    assert table == expected


def test_every_explained_message_is_one_that_the_code_has() -> None:
    # a message wrapped over two literals is one sentence to its reader
    sources = [*(PROJECT_ROOT / "fvi_pipeline").rglob("*.py"), *(PROJECT_ROOT / "docker").glob("*.sh")]
    code = " ".join(re.sub(r'"\s*\n\s*f?"', "", path.read_text()) for path in sources)
    section = _TEXT.split("## When something goes wrong")[1]
    messages = re.findall(r"^\| (`[^|]+?)\s+\|", section, re.MULTILINE)
    assert len(messages) > 8
    for message in (quoted for row in messages for quoted in re.findall(r"`([^`]+)`", row)):
        for part in re.split(r"…|=…", message):
            assert part.strip(" =()") in code, message


@pytest.mark.parametrize(
    "path", sorted((PROJECT_ROOT / "docs" / "decisions").glob("0*.md")), ids=lambda path: path.name
)
def test_a_decision_has_its_three_parts(path: Path) -> None:
    text = path.read_text()
    number = int(path.name[:4])
    assert text.startswith(f"# {number}. ")
    assert [part for part in ("Context", "Decision", "Consequence") if f"**{part}.**" in text] == [
        "Context",
        "Decision",
        "Consequence",
    ]
