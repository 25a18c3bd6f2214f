"""`python -m fvi_pipeline.feeds.generate [--check]`. What is generated belongs to the modules beside this one."""

from __future__ import annotations

import argparse
import sys

from fvi_pipeline.feeds.errors import FeedError
from fvi_pipeline.feeds.generate import differences, write
from fvi_pipeline.platform.settings import PROJECT_ROOT

_COMMAND = "python -m fvi_pipeline.feeds.generate"


def main() -> int:
    """Write what is out of date, or with `--check` only name it; the exit status is 1 when something was."""
    arguments = argparse.ArgumentParser(prog=_COMMAND, description="Generate what the descriptions of feeds say.")
    arguments.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    check = arguments.parse_args().check
    try:
        outdated = differences(PROJECT_ROOT) if check else write(PROJECT_ROOT)
    except FeedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for path in outdated:
        sys.stdout.write(f"{'out of date' if check else 'written'}: {path}\n")
    if check and outdated:
        sys.stderr.write(f"The feeds' descriptions say something else: run `{_COMMAND}`.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
