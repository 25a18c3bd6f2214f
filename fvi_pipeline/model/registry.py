"""Registered versions in MLflow, of any model: one for each distinct file, the alias `champion`, loading. What a
version must offer is in `candidate`, the ledger in `ledger`, what lies beside its files in `mlmodel`.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fvi_pipeline.features.names import number_of
from fvi_pipeline.model.candidate import REQUIRED_TAGS, Candidate
from fvi_pipeline.model.companions.predictor import PRODUCTION_MODEL, STATUS_MODEL
from fvi_pipeline.model.errors import RegistryError
from fvi_pipeline.model.mlmodel import write_mlmodel
from fvi_pipeline.model.scoring import BOOSTER_FILE, MODEL_NAME, ONNX_FILE, ViabilityModel

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
CHALLENGER = "challenger"
_HASH_TAG = "onnx_sha256"
MODELS = {
    MODEL_NAME: "P(a mine still produces after so many years): ONNX with its calibration and intervals.",
    PRODUCTION_MODEL: "A mine's production in the next year, with its interval: ONNX.",
    STATUS_MODEL: "The probability of each status of a mine in the next year: ONNX.",
}
"""The registered models, with what is said of each."""
_LONGEST_TAG = 5000


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in the registry; `created` tells whether this call made it."""

    version: str
    run_id: str
    onnx_sha256: str
    created: bool = False
    data_hash: str = ""
    code_version: str = ""
    feature_service: str = ""
    train_until_year: int | None = None
    source: str = ""


@dataclass(frozen=True)
class LoggedRun:
    """What the registry has of a version: of its run and, as tags, of the version itself."""

    parameters: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]


def open_registry(tracking_uri: str, home: Path, name: str = MODEL_NAME) -> ModelRegistry:
    """The registry of one model at an address: a server keeps artifacts itself, for a database they lie in
    `home`/mlflow.
    """
    served = tracking_uri.startswith(("http://", "https://"))
    return ModelRegistry(tracking_uri, None if served else home / "mlflow", name)


class ModelRegistry:
    """The versions of one model in an MLflow tracking server or database."""

    def __init__(self, tracking_uri: str, artifact_root: Path | None, name: str = MODEL_NAME) -> None:
        """Nothing is contacted yet.

        Args:
            tracking_uri: MLflow's server (http) or database (SQLAlchemy URL).
            artifact_root: folder for artifacts; None: where the server keeps them.
            name: of the registered model and of the experiment.
        """
        self._tracking_uri = tracking_uri
        self._artifact_root = artifact_root
        self.name = name

    @cached_property
    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self._tracking_uri, registry_uri=self._tracking_uri)

    def register(self, candidate: Candidate) -> RegisteredVersion:
        """Log a run (parameters, metrics, pictures, the model's files) and register its version.

        A version with the same bytes is returned as it is, so that a run that was killed and repeated makes
        no second one.

        Raises:
            RegistryError: the candidate is of another model, or does not say where it comes from.
        """
        lineage = {key: str(value) for key, value in candidate.tags().items()}
        missing = [key for key in REQUIRED_TAGS if not lineage.get(key)]
        if candidate.name != self.name:
            raise RegistryError(f"A {candidate.name} is not a {self.name}. Open the registry of its name.")
        if missing:
            raise RegistryError(f"The {self.name} does not say its {', '.join(missing)}. Add them to its tags.")
        existing = self.find(candidate.files.onnx_sha256)
        if existing:
            return existing
        experiment_id = self._experiment_id()
        self._delete_unfinished_runs(experiment_id, candidate.files.onnx_sha256)
        service = lineage["feature_service"]
        tags = {
            _HASH_TAG: candidate.files.onnx_sha256,
            **lineage,
            "feature_service_version": str(number_of(service) or ""),
        }
        run = self._client.create_run(experiment_id, run_name=f"until {lineage['train_until_year']}", tags=tags)
        run_id = run.info.run_id
        self._log(run_id, candidate, tags)
        self._ensure_model()
        version = self._client.create_model_version(
            self.name, source=f"{run.info.artifact_uri}/model", run_id=run_id, tags=tags
        )
        self._client.set_terminated(run_id, status="FINISHED")
        return replace(_registered(self._client.get_model_version(self.name, version.version)), created=True)

    def find(self, onnx_sha256: str) -> RegisteredVersion | None:
        """The first version with these bytes, or None."""
        found = self._client.search_model_versions(f"name = '{self.name}' and tags.{_HASH_TAG} = '{onnx_sha256}'")
        versions = sorted((_registered(entry) for entry in found), key=lambda entry: int(entry.version))
        return versions[0] if versions else None

    def get(self, version: str) -> RegisteredVersion:
        """The version of that number.

        Raises:
            RegistryError: there is none.
        """
        from mlflow.exceptions import MlflowException

        try:
            return _registered(self._client.get_model_version(self.name, version))
        except MlflowException as error:
            known = ", ".join(entry.version for entry in self.versions()) or "none"
            raise RegistryError(f"The registry has no version {version} of {self.name}. It has {known}.") from error

    def champion(self) -> RegisteredVersion | None:
        """The version that carries the alias `champion`, or None."""
        return self._of_alias(CHAMPION)

    def challenger(self) -> RegisteredVersion | None:
        """The version that carries the alias `challenger`: it is asked beside the champion; None: nobody is."""
        return self._of_alias(CHALLENGER)

    def _of_alias(self, alias: str) -> RegisteredVersion | None:
        from mlflow.exceptions import MlflowException

        try:
            return _registered(self._client.get_model_version_by_alias(self.name, alias))
        except MlflowException as error:
            # neither a model nor an alias yet; anything else (a store that is down) is not "no champion"
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def newest(self) -> RegisteredVersion | None:
        """The version that was registered last, whether it ever reigned or not; None when there is none."""
        versions = self.versions()
        return versions[-1] if versions else None

    def versions(self) -> list[RegisteredVersion]:
        """All versions, the oldest first."""
        found = self._client.search_model_versions(f"name = '{self.name}'")
        return sorted((_registered(entry) for entry in found), key=lambda entry: int(entry.version))

    def logged(self, version: str) -> LoggedRun:
        """Parameters and metrics of a version's run, and the version's tags.

        Raises:
            RegistryError: there is no such version.
        """
        run = self._client.get_run(self.get(version).run_id)
        tags = self._client.get_model_version(self.name, version).tags
        return LoggedRun(dict(run.data.params), dict(run.data.metrics), dict(tags))

    def set_champion(self, version: str) -> None:
        """Move the alias `champion` to the version."""
        self._client.set_registered_model_alias(self.name, CHAMPION, version)

    def set_challenger(self, version: str | None) -> None:
        """Move the alias `challenger` to the version, or take it away."""
        if version is None:
            self._client.delete_registered_model_alias(self.name, CHALLENGER)
        else:
            self._client.set_registered_model_alias(self.name, CHALLENGER, version)

    def annotate(self, version: str, tags: dict[str, str]) -> None:
        """Set tags of a version, such as the gate's decision, which the UI shows."""
        for key, value in tags.items():
            self._client.set_model_version_tag(self.name, version, key, value[:_LONGEST_TAG])

    def describe(self, version: str, text: str) -> None:
        """Set the text that the UI shows on a version's page."""
        self._client.update_model_version(self.name, version, text[:_LONGEST_TAG])

    def add_artifacts(self, version: str, folder: Path, name: str) -> None:
        """Put the files of `folder` under `name` beside the model of a version; what is there is replaced."""
        self._client.log_artifacts(self.get(version).run_id, str(folder), name)

    def files(self, version: str, folder: Path) -> Path:
        """Copy the files of a version into `folder`, check the served bytes against the registered hash, and return the
        folder that holds them.

        Raises:
            RegistryError: there is no such version, its files are gone, or they are not the registered ones.
        """
        from mlflow.artifacts import download_artifacts

        registered = self.get(version)
        folder.mkdir(parents=True, exist_ok=True)
        uri = self._client.get_model_version_download_uri(self.name, version)
        try:
            files = Path(download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=self._tracking_uri))
            onnx_model = (files / ONNX_FILE).read_bytes()
        except OSError as error:
            raise RegistryError(
                f"The files of version {version} of {self.name} cannot be read ({error}). Restore the artifact folder."
            ) from error
        if hashlib.sha256(onnx_model).hexdigest() != registered.onnx_sha256:
            raise RegistryError(
                f"The ONNX file of version {version} of {self.name} is not the one that was registered. Restore it."
            )
        return files

    def load(self, version: str) -> ViabilityModel:
        """The viability model of a version.

        Raises:
            RegistryError: as for `files`.
        """
        with tempfile.TemporaryDirectory() as folder:
            files = self.files(version, Path(folder))
            try:
                booster_text = (files / BOOSTER_FILE).read_text()
            except OSError as error:
                raise RegistryError(
                    f"{BOOSTER_FILE} of version {version} of {self.name} cannot be read ({error}). Restore the "
                    "artifact folder."
                ) from error
            return ViabilityModel((files / ONNX_FILE).read_bytes(), booster_text)

    def _experiment_id(self) -> str:
        experiment = self._client.get_experiment_by_name(self.name)
        if experiment is not None:
            return str(experiment.experiment_id)
        location = None
        if self._artifact_root is not None:
            self._artifact_root.mkdir(parents=True, exist_ok=True)
            location = self._artifact_root.resolve().as_uri()
        return str(self._client.create_experiment(self.name, artifact_location=location))

    def _ensure_model(self) -> None:
        if not self._client.search_registered_models(f"name = '{self.name}'"):
            self._client.create_registered_model(self.name, description=MODELS.get(self.name))

    def _delete_unfinished_runs(self, experiment_id: str, onnx_sha256: str) -> None:
        # left by a process that was killed before it could register its version
        for run in self._client.search_runs(
            [experiment_id], f"tags.{_HASH_TAG} = '{onnx_sha256}' and attributes.status = 'RUNNING'"
        ):
            self._client.delete_run(run.info.run_id)

    def _log(self, run_id: str, candidate: Candidate, tags: dict[str, str]) -> None:
        from mlflow.entities import Metric, Param

        now_ms = int(self._client.get_run(run_id).info.start_time)
        self._client.log_batch(
            run_id,
            metrics=[Metric(key, value, now_ms, 0) for key, value in candidate.metrics().items()],
            params=[Param(key, value) for key, value in candidate.parameters().items()],
        )
        with tempfile.TemporaryDirectory() as folder:
            model_folder = Path(folder) / "model"
            candidate.files.write(model_folder)
            write_mlmodel(model_folder, candidate.input_columns, tags, run_id=run_id)
            candidate.write_plots(Path(folder) / "plots")
            self._client.log_artifacts(run_id, folder)


def _registered(entry: Any) -> RegisteredVersion:
    tags = entry.tags
    year = str(tags.get("train_until_year", ""))
    return RegisteredVersion(
        version=str(entry.version),
        run_id=str(entry.run_id),
        onnx_sha256=str(tags.get(_HASH_TAG, "")),
        data_hash=str(tags.get("data_hash", "")),
        code_version=str(tags.get("code_version", "")),
        feature_service=str(tags.get("feature_service", "")),
        train_until_year=int(year) if year.isdigit() else None,
        source=str(entry.source),
    )
