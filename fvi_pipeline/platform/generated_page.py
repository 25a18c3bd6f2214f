"""Pages of docs that follow from descriptions: written when out of date, or only checked. What a page says belongs to
who makes it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from fvi_pipeline.platform.settings import PROJECT_ROOT


def write_or_check(command: str, path: str, described: str, page: Callable[[], str], *told: type[Exception]) -> int:
    """Write a page if it is out of date, or with `--check` only say so; returns the exit status.

    Args:
        command: how the program is called.
        path: of the page, from the project's root.
        described: whose descriptions it follows from.
        page: makes its text.
        told: errors of `page` that are a sentence for people.
    """
    arguments = argparse.ArgumentParser(prog=command, description=f"Write what the {described} descriptions say.")
    arguments.add_argument("--check", action="store_true", help="write nothing; fail when the document is out of date")
    check, file = arguments.parse_args().check, PROJECT_ROOT / path
    try:
        wanted = page()
    except told as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if file.exists() and file.read_text(encoding="utf-8") == wanted:
        return 0
    if check:
        sys.stderr.write(f"out of date: {path}. The {described} descriptions say something else: run `{command}`.\n")
        return 1
    file.write_text(wanted, encoding="utf-8")
    sys.stdout.write(f"written: {path}\n")
    return 0
