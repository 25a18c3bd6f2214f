"""Why a score is what it is: contributions of every feature, their storage, reasons in words, and pictures.

Contributions are computed by `model.scoring`, sentences of single values by `features.wording`.
"""
