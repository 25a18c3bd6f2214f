"""Errors of the model package, each with a sentence that says what to do."""


class ModelError(RuntimeError):
    """Base of the errors of this package."""


class DatasetError(ModelError):
    """The training frame cannot be used: columns, keys, values or years are missing or wrong."""


class ParityError(ModelError):
    """The ONNX model does not give the numbers of the LightGBM model that it was made from."""


class ScoringError(ModelError):
    """A score was asked for with features or a horizon that the model does not know."""


class RegistryError(ModelError):
    """The model registry holds something that cannot be used, or lacks what was asked for."""
