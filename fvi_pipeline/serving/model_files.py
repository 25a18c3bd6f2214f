"""The files of a version on the machine that serves: found in the Bento store, at the registry's address or on the
shelf of what was served here before; never taken without the hash that was registered.

Which version is wanted belongs in `standing_note`, what is done with it in `board`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from fvi_pipeline.model.scoring import BOOSTER_FILE, METADATA_FILE, ONNX_FILE, ViabilityModel
from fvi_pipeline.serving.arms import MineFields
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.standing_note import Reign, VersionRef

logger = logging.getLogger(__name__)
_FILES = (ONNX_FILE, BOOSTER_FILE, METADATA_FILE)
FIELDS_FILE = "fields.json"
"""Where the online store has the features: written when a Bento is built, so that a start needs neither Feast nor its
registry."""
_REIGN_FILE = "standing.json"
_KEPT = 4
_SECONDS = 10


class ModelShelf:
    """A folder with the versions that were served here, so that a start needs no other machine.

    A shelf that cannot be written to (a read-only disk) keeps nothing, and the log says so.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, wanted: VersionRef) -> Path | None:
        """The folder of a version, or None."""
        folder = self.folder / _name(wanted)
        return folder if _holds(folder, wanted.onnx_sha256) else None

    def put(self, wanted: VersionRef, files: Path, fields: MineFields) -> None:
        """Keep a version, whole or not at all, with where the online store has its features."""
        target = self.folder / _name(wanted)
        try:
            if not target.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=self.folder, prefix=".new-") as temporary:
                    made = Path(temporary) / "model"
                    made.mkdir()
                    for name in _FILES:
                        if (files / name).is_file():
                            shutil.copyfile(files / name, made / name)
                    _write(made / FIELDS_FILE, fields_to_json(fields))
                    made.rename(target)
            else:
                _write(target / FIELDS_FILE, fields_to_json(fields))
        except OSError as error:
            logger.warning("Version %s is not kept on the disk: %s", wanted.version, error)

    def fields(self, wanted: VersionRef) -> MineFields | None:
        """Where the online store has the features of a kept version; None: not known."""
        return read_fields(self.folder / _name(wanted))

    def note(self, reign: Reign) -> None:
        """Note what is served now, and let go of all but the newest versions."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _write(self.folder / _REIGN_FILE, json.dumps(reign.note()))
            named = {_name(each) for each in (reign.champion, reign.challenger) if each}
            kept = [each for each in self.folder.iterdir() if (each / ONNX_FILE).is_file() and each.name not in named]
            for old in sorted(kept, key=lambda each: each.stat().st_mtime, reverse=True)[_KEPT:]:
                shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            logger.warning("What is served cannot be noted on the disk: %s", error)

    def noted(self) -> Reign:
        """What was served here last; nothing where there is no note."""
        try:
            return Reign.of_note(json.loads((self.folder / _REIGN_FILE).read_text()))
        except (OSError, ValueError):
            return Reign()


def find_files(wanted: VersionRef, shelf: ModelShelf, bento_models: Path | None, scratch: Path) -> Path:
    """The folder that holds a version's files, fetched into `scratch` where they are on another machine.

    Args:
        wanted: the version.
        shelf: what was served here before.
        bento_models: the folder of the model's versions in the Bento store.
        scratch: an empty folder.

    Raises:
        StoreUnavailableError: none of these has them; the message says what to do.
    """
    kept = shelf.find(wanted)
    if kept is not None:
        return kept
    for folder in _in_bento_store(bento_models):
        if _holds(folder, wanted.onnx_sha256):
            return folder
    parts = urllib.parse.urlsplit(wanted.source)
    if parts.scheme in ("", "file") and parts.path:
        folder = Path(urllib.parse.unquote(parts.path))
        if _holds(folder, wanted.onnx_sha256):
            return folder
    elif parts.scheme in ("http", "https"):
        _download(wanted.source, scratch)
        if _holds(scratch, wanted.onnx_sha256):
            return scratch
    raise StoreUnavailableError(
        f"No file of version {wanted.version} with its registered hash is in the Bento store or at {wanted.source}. "
        "Build its Bento (`fvi promote VERSION` does) or restore the artifact folder."
    )


def load_files(folder: Path) -> ViabilityModel:
    """Load a version and run it once: one that cannot score is found out here."""
    import numpy as np

    model = ViabilityModel.load(folder)
    row = np.full((1, len(model.features)), np.nan, dtype=np.float32)
    model.score(row)
    return model


def fields_to_json(fields: MineFields) -> str:
    """The content of the file FIELDS_FILE."""
    return json.dumps(
        {
            "project": fields.project,
            "join_key": fields.join_key,
            "names": fields.names,
            "fields": [field.hex() for field in fields.fields],
            "types": dict(fields.types),
        }
    )


def read_fields(folder: Path) -> MineFields | None:
    """What the folder of a version says of its features' place; None: nothing, or nothing that can be read."""
    try:
        stored = json.loads((folder / FIELDS_FILE).read_text())
        return MineFields(
            stored["project"],
            stored["join_key"],
            tuple(stored["names"]),
            tuple(bytes.fromhex(field) for field in stored["fields"]),
            stored["types"],
        )
    except (OSError, ValueError, KeyError):
        return None


def feature_service_of(folder: Path) -> str | None:
    """The feature service that the model in a folder was made with; None where that cannot be read."""
    try:
        return str(json.loads((folder / METADATA_FILE).read_text())["feature_service"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _name(wanted: VersionRef) -> str:
    return f"{wanted.version}-{wanted.onnx_sha256[:12]}"


def _holds(folder: Path, onnx_sha256: str) -> bool:
    try:
        return hashlib.sha256((folder / ONNX_FILE).read_bytes()).hexdigest() == onnx_sha256
    except OSError:
        return False


def _in_bento_store(bento_models: Path | None) -> Iterator[Path]:
    if bento_models is not None and bento_models.is_dir():
        yield from sorted((each for each in bento_models.iterdir() if each.is_dir()), reverse=True)


def _download(address: str, folder: Path) -> None:
    for name in _FILES:
        try:
            with urllib.request.urlopen(f"{address}/{name}", timeout=_SECONDS) as answer:  # noqa: S310 (http by the caller)
                (folder / name).write_bytes(answer.read())
        except OSError as error:
            logger.warning("%s/%s cannot be fetched: %s", address, name, error)
            return


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)
