"""Registered versions in MLflow: one for each distinct model, the alias `champion`, loading. The ledger is
in `ledger`.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fvi_pipeline.model.challenger import Challenger
from fvi_pipeline.model.errors import RegistryError
from fvi_pipeline.model.plots import write_plots
from fvi_pipeline.model.scoring import BOOSTER_FILE, MODEL_NAME, ONNX_FILE, ViabilityModel

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
_HASH_TAG = "onnx_sha256"


@dataclass(frozen=True)
class RegisteredVersion:
    """A version in the registry; `created` tells whether this call made it."""

    version: str
    run_id: str
    onnx_sha256: str
    created: bool = False


def open_registry(tracking_uri: str, home: Path) -> ModelRegistry:
    """The registry at an address: a server keeps artifacts itself, for a database they lie in `home`/mlflow."""
    served = tracking_uri.startswith(("http://", "https://"))
    return ModelRegistry(tracking_uri, None if served else home / "mlflow")


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

    def register(self, challenger: Challenger) -> RegisteredVersion:
        """Log a run (parameters, metrics, pictures, the model's files) and register its version.

        A version with the same bytes is returned as it is, so that a run that was killed and repeated makes
        no second one.
        """
        existing = self.find(challenger.files.onnx_sha256)
        if existing:
            return existing
        experiment_id = self._experiment_id()
        self._delete_unfinished_runs(experiment_id, challenger.files.onnx_sha256)
        metadata = challenger.files.metadata
        tags = {
            _HASH_TAG: challenger.files.onnx_sha256,
            "data_hash": metadata.data_hash,
            "feature_service": metadata.feature_service,
            "train_until_year": str(metadata.train_until_year),
            "code_version": metadata.code_version,
        }
        run = self._client.create_run(experiment_id, run_name=f"until {metadata.train_until_year}", tags=tags)
        run_id = run.info.run_id
        self._log(run_id, challenger)
        self._ensure_model()
        version = self._client.create_model_version(
            self.name, source=f"{run.info.artifact_uri}/model", run_id=run_id, tags=tags
        )
        self._client.set_terminated(run_id, status="FINISHED")
        return RegisteredVersion(str(version.version), run_id, challenger.files.onnx_sha256, created=True)

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
            raise RegistryError(
                f"The registry has no version {version} of {self.name}. `mlflow models` and the UI list them."
            ) from error

    def champion(self) -> RegisteredVersion | None:
        """The version that carries the alias `champion`, or None."""
        from mlflow.exceptions import MlflowException

        try:
            return _registered(self._client.get_model_version_by_alias(self.name, CHAMPION))
        except MlflowException as error:
            # neither a model nor an alias yet; anything else (a store that is down) is not "no champion"
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def newest(self) -> RegisteredVersion | None:
        """The version that was registered last, whether it ever reigned or not; None when there is none."""
        found = self._client.search_model_versions(f"name = '{self.name}'")
        versions = sorted((_registered(entry) for entry in found), key=lambda entry: int(entry.version))
        return versions[-1] if versions else None

    def set_champion(self, version: str) -> None:
        """Move the alias `champion` to the version."""
        self._client.set_registered_model_alias(self.name, CHAMPION, version)

    def annotate(self, version: str, tags: dict[str, str]) -> None:
        """Set tags of a version, such as the gate's decision, which the UI shows."""
        for key, value in tags.items():
            self._client.set_model_version_tag(self.name, version, key, value[:5000])

    def download(self, version: str, folder: Path) -> Path:
        """Copy the files of a version into `folder` and return the folder that holds them."""
        from mlflow.artifacts import download_artifacts

        folder.mkdir(parents=True, exist_ok=True)
        uri = self._client.get_model_version_download_uri(self.name, version)
        return Path(download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=self._tracking_uri))

    def load(self, version: str) -> ViabilityModel:
        """The model of a version, its bytes checked against the registered hash.

        Raises:
            RegistryError: there is no such version, its files are gone, or they are not the registered ones.
        """
        registered = self.get(version)
        with tempfile.TemporaryDirectory() as folder:
            try:
                files = self.download(version, Path(folder))
                onnx_model = (files / ONNX_FILE).read_bytes()
                booster_text = (files / BOOSTER_FILE).read_text()
            except OSError as error:
                raise RegistryError(
                    f"The files of version {version} of {self.name} cannot be read ({error}). "
                    f"Restore the artifact folder."
                ) from error
        model = ViabilityModel(onnx_model, booster_text)
        if model.onnx_sha256 != registered.onnx_sha256:
            raise RegistryError(
                f"The ONNX file of version {version} of {self.name} is not the one that was registered. Restore it."
            )
        return model

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
            self._client.create_registered_model(
                self.name,
                description="P(a mine still produces after so many years): ONNX with its intervals.",
            )

    def _delete_unfinished_runs(self, experiment_id: str, onnx_sha256: str) -> None:
        # left by a process that was killed before it could register its version
        for run in self._client.search_runs(
            [experiment_id], f"tags.{_HASH_TAG} = '{onnx_sha256}' and attributes.status = 'RUNNING'"
        ):
            self._client.delete_run(run.info.run_id)

    def _log(self, run_id: str, challenger: Challenger) -> None:
        from mlflow.entities import Metric, Param

        now_ms = int(self._client.get_run(run_id).info.start_time)
        self._client.log_batch(
            run_id,
            metrics=[Metric(key, value, now_ms, 0) for key, value in challenger.metrics().items()],
            params=[Param(key, value) for key, value in challenger.parameters().items()],
        )
        with tempfile.TemporaryDirectory() as folder:
            challenger.files.write(Path(folder) / "model")
            write_plots(challenger, Path(folder) / "plots")
            self._client.log_artifacts(run_id, folder)


def _registered(entry: Any) -> RegisteredVersion:
    return RegisteredVersion(str(entry.version), str(entry.run_id), str(entry.tags.get(_HASH_TAG, "")))
