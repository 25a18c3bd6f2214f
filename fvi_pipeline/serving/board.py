"""The models in force, and how they change under way: a thread asks every two seconds which versions reign, loads
another one beside those that answer, and swaps them in one assignment.

Which arm answers for a mine is in `arms`, who is asked in `standing_note`, where files come from in `model_files`.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

from fvi_pipeline.model.errors import ScoringError
from fvi_pipeline.model.scoring import MODEL_NAME, ViabilityModel
from fvi_pipeline.serving.arms import CHALLENGER, CHAMPION, MineFields, ServedModel, Standing
from fvi_pipeline.serving.errors import ServingError, StoreUnavailableError
from fvi_pipeline.serving.feature_reader import CONTEXT
from fvi_pipeline.serving.model_files import ModelShelf, feature_service_of, find_files, load_files, read_fields
from fvi_pipeline.serving.standing_note import Reign, ReignSource, VersionRef

POLL_SECONDS = 2.0
Arm = Literal["champion", "challenger"]
logger = logging.getLogger(__name__)


class Layouts(Protocol):
    """Knows where the online store has a model's features: see feature_reader.FeatureLayouts."""

    def served(self, model: ViabilityModel, version: str, arm: Arm, since: datetime) -> ServedModel:
        """The model, ready to answer. Raises StoreUnavailableError when the feature registry does not answer."""


class ChampionBoard:
    """Holds the standing and keeps it that of the registry.

    Nothing is ever taken out of force before another one is ready: a version whose files are missing, changed or
    unreadable leaves the standing as it is, and `pending` says why.
    """

    def __init__(
        self,
        layouts: Layouts,
        shelf: ModelShelf,
        sources: Sequence[ReignSource],
        packed: VersionRef | None,
        bento_models: Path | None = None,
        *,
        share: float = 0.0,
        mode: Literal["route", "shadow"] = "shadow",
        warm_up: Callable[[ServedModel], None] | None = None,
    ) -> None:
        """Load what answers first.

        Args:
            layouts: of the features.
            shelf: of what was served here before.
            sources: who knows the versions that reign, the first that answers holds; empty: the packed one stays.
            packed: the version in the Bento, for a start where nobody knows and the shelf is empty.
            bento_models: the folder of the model's versions in the Bento store.
            share: of the mines that the challenger is asked for; 0: none is loaded.
            mode: whether it answers, or scores beside the champion unseen.
            warm_up: called with a model before it is in force, so that its first request waits for nothing.

        Raises:
            StoreUnavailableError: no version can be loaded, or the feature registry does not answer and the place of
                its features is not known on this disk either.
        """
        self._layouts = layouts
        self._shelf = shelf
        self._sources = tuple(sources)
        self._packed = packed
        self._bento_models = bento_models
        self._share = share
        self._mode: Literal["route", "shadow"] = mode
        self._warm_up = warm_up
        self._stopping = threading.Event()
        self._refs: dict[str, VersionRef] = {}
        self._fields: dict[str, MineFields] = {}
        self._told: dict[str, str] = {}
        self.pending: dict[str, str] = {}
        """By arm: why the version that reigns does not answer yet."""
        self.known_from: str = "the Bento"
        """Who said which versions reign."""
        self.on_change: Callable[[Standing], None] | None = None
        """Called after each change, in the thread that made it."""
        self.standing = self._first()
        self._keep()

    def start(self) -> None:
        """Follow the registry from now on, in a thread."""
        if self._sources:
            threading.Thread(target=self._follow, name="fvi-board", daemon=True).start()

    def close(self) -> None:
        """Stop following."""
        self._stopping.set()

    def refresh(self) -> bool:
        """Ask once who reigns and load what is new; whether the standing changed."""
        reign = self._ask()
        if reign is None or reign.champion is None:
            return False
        before = self.standing
        standing = replace(
            before,
            champion=self._taken_up(reign.champion, CHAMPION, before.champion) or before.champion,
            challenger=self._challenger(reign, before.challenger),
        )
        if standing == before:
            return False
        self.standing = standing
        logger.info("In force: champion %s, challenger %s.", standing.champion.version, _version(standing.challenger))
        self._keep()
        if self.on_change is not None:
            self.on_change(standing)
        return True

    def _follow(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            try:
                self.refresh()
            except Exception:  # the thread must outlive whatever a file or a library does
                logger.exception("The versions that reign could not be followed; asked again in %s s", POLL_SECONDS)

    def _ask(self) -> Reign | None:
        for source in self._sources:
            try:
                reign = source.read(MODEL_NAME)
            except StoreUnavailableError:
                continue
            self.known_from = type(source).__name__
            return reign
        return None

    def _first(self) -> Standing:
        asked, noted = self._ask(), self._shelf.noted()
        wanted = [asked.champion if asked else None, noted.champion, self._packed]
        if not self._sources and self._packed is not None:
            wanted = [self._packed]  # the Bento's own model is what was asked for
        for champion in dict.fromkeys(each for each in wanted if each):
            model = self._taken_up(champion, CHAMPION, None)
            if model is not None:
                challenger = self._challenger(asked, None) if asked else None
                return Standing(model, challenger, self._share, self._mode)
        reasons = "; ".join(dict.fromkeys(self.pending.values())) or "no version reigns and the Bento holds none"
        raise StoreUnavailableError(f"No model can be served: {reasons}")

    def _challenger(self, reign: Reign, before: ServedModel | None) -> ServedModel | None:
        if self._share <= 0 or reign.challenger is None or reign.challenger == reign.champion:
            self._refs.pop(CHALLENGER, None)
            self.pending.pop(CHALLENGER, None)
            return None
        # a challenger that cannot be loaded leaves its share to the champion, not to the challenger before it
        return self._taken_up(reign.challenger, CHALLENGER, before)

    def _taken_up(self, wanted: VersionRef, arm: Arm, before: ServedModel | None) -> ServedModel | None:
        """The version, loaded unless it is in force already; None when it cannot be, and `pending` says why."""
        if before is not None and self._refs.get(arm) == wanted:
            self.pending.pop(arm, None)
            return before
        try:
            with tempfile.TemporaryDirectory() as scratch:
                files = find_files(wanted, self._shelf, self._bento_models, Path(scratch))
                served = self._ready(load_files(files), wanted, arm, files)
                self._fields[served.feature_service] = served.fields
                if self._warm_up is not None:
                    self._warm_up(served)
                self._shelf.put(wanted, files, served.fields)
        except (ServingError, ScoringError, OSError, ValueError, RuntimeError) as error:
            reason = f"version {wanted.version} cannot be taken up: {error}"
            self.pending[arm] = reason
            if self._told.get(arm) != reason:
                self._told[arm] = reason
                logger.warning("%s", reason)
            return None
        self.pending.pop(arm, None)
        self._refs[arm] = wanted
        return served

    def _ready(self, model: ViabilityModel, wanted: VersionRef, arm: Arm, files: Path) -> ServedModel:
        since, service = datetime.now(UTC), model.metadata.feature_service
        for known in (
            read_fields(files),
            self._shelf.fields(wanted),
            self._fields.get(service),
            self._packed_fields(service),
        ):
            fields = known.of(model.features, CONTEXT) if known is not None else None
            if fields is not None:
                return ServedModel(model, wanted.version, arm, fields, since)
        # the first version of a feature service that comes without its Bento: Feast takes seconds, and PostgreSQL
        return self._layouts.served(model, wanted.version, arm, since)

    def _packed_fields(self, service: str) -> MineFields | None:
        """What the Bento says of the place of a feature service, if its model was made with that one."""
        folder = Path(urlsplit(self._packed.source).path) if self._packed else None
        if folder is None or feature_service_of(folder) != service:
            return None
        return read_fields(folder)

    def _keep(self) -> None:
        self._shelf.note(Reign(self._refs.get(CHAMPION), self._refs.get(CHALLENGER)))


def _version(model: ServedModel | None) -> str:
    return "none" if model is None else model.version
