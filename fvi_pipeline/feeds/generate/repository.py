"""Which generated text lies where in the repository, and whether it is what the descriptions say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.generate.dbt_files import bronze_sql, bronze_yaml, feeds_macro, sources_yaml
from fvi_pipeline.feeds.generate.landing_sql import landing_sql
from fvi_pipeline.feeds.generate.page import feeds_page

NOTE = "Generated from fvi_pipeline/feeds/catalogue by `python -m fvi_pipeline.feeds.generate`: change the description."
_BRONZE = "dbt_project/models/bronze"


def generated_files(feeds: Iterable[Feed] | None = None) -> dict[str, str]:
    """The text of every generated file by its path in the repository.

    Raises:
        FeedError: a description cannot be a table's.
    """
    listed = tuple(FEEDS.values() if feeds is None else feeds)
    files = {
        "fvi_pipeline/platform/sql/11_landing_feeds.sql": landing_sql(listed, NOTE),
        "dbt_project/macros/landed_feeds.sql": feeds_macro(listed, NOTE),
        f"{_BRONZE}/landing_feeds.yml": sources_yaml(listed, NOTE),
        "docs/feeds.md": feeds_page(listed, NOTE),
    }
    for feed in listed:
        files[f"{_BRONZE}/bronze_{feed.name}.sql"] = bronze_sql(feed, NOTE)
        files[f"{_BRONZE}/bronze_{feed.name}.yml"] = bronze_yaml(feed, NOTE)
    return files


def differences(root: Path, feeds: Iterable[Feed] | None = None) -> list[str]:
    """Paths whose text is missing, different, or left over from a feed that is described no more; sorted."""
    wanted = generated_files(feeds)
    changed = [path for path, text in wanted.items() if not (root / path).exists() or (root / path).read_text() != text]
    return sorted([*changed, *_left_over(root, wanted)])


def write(root: Path, feeds: Iterable[Feed] | None = None) -> list[str]:
    """Make the repository say what the descriptions say; returns the paths that were written or deleted."""
    wanted = generated_files(feeds)
    changed = differences(root, feeds)
    for path in changed:
        target = root / path
        if path in wanted:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(wanted[path])
        else:
            target.unlink()
    return changed


def _left_over(root: Path, wanted: dict[str, str]) -> list[str]:
    found = (root / _BRONZE).glob("bronze_*")
    names = {str(path.relative_to(root)): path for path in found}
    return [name for name, path in names.items() if name not in wanted and NOTE in path.read_text()[:400]]
