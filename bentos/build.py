"""Building the Bento of a champion: its files into the Bento model store, the code around them, a tag.

What is in a Bento is said in bentofile.yaml. Which model is champion belongs in the pipeline.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fvi_pipeline.model.scoring import BOOSTER_FILE, METADATA_FILE, MODEL_NAME, ONNX_FILE
from fvi_pipeline.platform.settings import PROJECT_ROOT

BENTO_NAME = "fvi"
BENTOFILE = PROJECT_ROOT / "bentos" / "bentofile.yaml"
_MODEL_FILES = (ONNX_FILE, BOOSTER_FILE, METADATA_FILE)
_DIGEST_LENGTH = 12
# BentoML copies into its store file by file; this one, of ours, is the last.
_COMPLETE = ".fvi-complete"
_NOT_IN_A_TAG = re.compile(r"[^a-z0-9._-]+")


class BentoBuildError(RuntimeError):
    """The Bento cannot be built; the message says what is missing."""


def build_bento(model_folder: Path, model_version: str, documents: Mapping[str, str] | None = None) -> str:
    """Put the model of a folder into the Bento model store, build the Bento, and return its tag.

    The folder is one that ModelFiles.write made; `model_version` is its registered version; `documents` are texts for
    people that lie beside the model, by file name. The tag is fvi:VERSION-HASH, the hash being of code, model and
    documents: the same inputs give the same tag and build nothing. In either case `fvi:latest` names it afterwards,
    also after a rollback. BENTOML_HOME decides where the stores are. Raises BentoBuildError.
    """
    missing = [name for name in (ONNX_FILE, BOOSTER_FILE, METADATA_FILE) if not (model_folder / name).is_file()]
    if missing:
        raise BentoBuildError(f"{model_folder} lacks {', '.join(missing)}: train and register a model first.")
    texts = dict(sorted((documents or {}).items()))
    model_digest = _digest([model_folder / name for name in _MODEL_FILES], model_folder, texts)
    version = _NOT_IN_A_TAG.sub("-", model_version.lower())
    model_tag = f"{MODEL_NAME}:{version}-{model_digest[:_DIGEST_LENGTH]}"
    _store_model(model_tag, model_folder, model_version, texts)
    code_digest = _digest(bento_files(), PROJECT_ROOT)
    digest = hashlib.sha256(f"{model_tag} {model_digest} {code_digest}".encode()).hexdigest()
    bento_version = f"{version}-{digest[:_DIGEST_LENGTH]}"
    tag = f"{BENTO_NAME}:{bento_version}"
    store = _bento_store()
    if not _is_complete(store, tag):
        _build(bento_version)
        _check_model(tag, model_tag)
        _mark_complete(store, tag)
    _make_latest(store, tag)
    return tag


def _build(version: str) -> None:
    # In a process of its own: BentoML resolves a service's `latest` model once a process, so that a second
    # build of a long-lived process would hold the first one's model.
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "bentoml",
            "build",
            "-f",
            str(BENTOFILE),
            "--version",
            version,
            str(PROJECT_ROOT),
        ],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise BentoBuildError(f"`bentoml build` failed: {(result.stderr or result.stdout).strip()[-2000:]}")


def _check_model(tag: str, model_tag: str) -> None:
    import bentoml

    models = [str(model.tag) for model in bentoml.get(tag).info.all_models]
    if models != [model_tag]:
        raise BentoBuildError(f"{tag} holds {models}, not {model_tag}: was another Bento built meanwhile? Run again.")


def feature_services_of_bentos() -> set[str]:
    """Name the feature services that the models of the Bentos in the store were made with."""
    import bentoml
    from bentoml.exceptions import NotFound

    services = set()
    for bento in bentoml.list(BENTO_NAME):
        for packed in bento.info.all_models:
            try:
                description = Path(bentoml.models.get(packed.tag).path) / METADATA_FILE
            except NotFound:
                continue  # nor could the Bento be served
            services.add(str(json.loads(description.read_text())["feature_service"]))
    return services


def bento_files() -> list[Path]:
    """Return the files of the project that go into a Bento, and bentofile.yaml, in order."""
    from bentoml._internal.bento.build_config import BentoBuildConfig

    patterns = BentoBuildConfig.from_file(str(BENTOFILE)).include or []
    files = {path for pattern in patterns for path in PROJECT_ROOT.glob(pattern) if path.is_file()}
    return sorted({*files, BENTOFILE})


def bento_size_bytes(tag: str) -> int:
    """The size of a Bento on the disk with the models that it names: what `bentoml export` packs."""
    import bentoml

    bento = bentoml.get(tag)
    folders = [Path(bento.path), *(Path(bentoml.models.get(model.tag).path) for model in bento.info.all_models)]
    return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())


def _digest(paths: list[Path], root: Path, texts: Mapping[str, str] | None = None) -> str:
    contents = [(path.relative_to(root).as_posix(), path.read_bytes()) for path in paths]
    contents += [(name, text.encode()) for name, text in (texts or {}).items()]
    digest = hashlib.sha256()
    for name, content in contents:
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _store_model(tag: str, folder: Path, version: str, texts: Mapping[str, str]) -> None:
    import bentoml
    from bentoml._internal.configuration.containers import BentoMLContainer

    store = BentoMLContainer.model_store.get()
    if not _is_complete(store, tag):
        with bentoml.models.create(tag, labels={"project": "fvi"}, metadata={"version": version}) as stored:
            for name in _MODEL_FILES:
                shutil.copyfile(folder / name, Path(stored.path) / name)
            for name, text in texts.items():
                (Path(stored.path) / name).write_text(text)
        _mark_complete(store, tag)
    # The service names the model `latest`, which a build resolves to the tag.
    _make_latest(store, tag)


def _is_complete(store: Any, tag: str) -> bool:
    if (_item_path(store, tag) / _COMPLETE).exists():
        return True
    # What a killed build left behind would be in the way of the next one.
    shutil.rmtree(_item_path(store, tag), ignore_errors=True)
    return False


def _mark_complete(store: Any, tag: str) -> None:
    (_item_path(store, tag) / _COMPLETE).touch()


def _item_path(store: Any, tag: str) -> Path:
    from bentoml import Tag

    path: Path = store._path / Tag.from_taglike(tag).path()
    return path


def _bento_store() -> Any:
    from bentoml._internal.configuration.containers import BentoMLContainer

    return BentoMLContainer.bento_store.get()


def _make_latest(store: Any, tag: str) -> None:
    """Let NAME:latest mean this tag: BentoML itself takes the one created last, which a rollback is not."""
    from bentoml import Tag

    parsed = Tag.from_taglike(tag)
    latest = store._path / parsed.latest_path()
    temporary = latest.with_name(f"{latest.name}.new")
    temporary.write_text(str(parsed.version))
    temporary.replace(latest)
