"""The Bento carries every module of this project that its service reads."""

from __future__ import annotations

import subprocess
import sys

import yaml

from fvi_pipeline.platform.settings import PROJECT_ROOT

_IMPORTED = (
    "import importlib, pkgutil, sys\n"
    "import fvi_pipeline.model.scoring, fvi_pipeline.answers as a, fvi_pipeline.serving as s\n"
    "[importlib.import_module(m.name) for m in pkgutil.iter_modules(s.__path__, 'fvi_pipeline.serving.')]\n"
    "[importlib.import_module(m.name) for m in pkgutil.walk_packages(a.__path__, 'fvi_pipeline.answers.')]\n"
    "import fvi_pipeline.run.scores, fvi_pipeline.evidence.embedding, fvi_pipeline.evidence.retrieval\n"
    "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('fvi_pipeline') and m.__file__), sep='\\n')"
)


def test_what_scoring_imports_is_in_the_bento() -> None:
    included = yaml.safe_load((PROJECT_ROOT / "bentos" / "bentofile.yaml").read_text())["include"]
    imported = subprocess.run([sys.executable, "-c", _IMPORTED], capture_output=True, text=True, check=True).stdout
    modules = {str(path) for path in imported.split()}
    carried = {str(file) for pattern in included for file in PROJECT_ROOT.glob(pattern)}
    assert modules <= carried
    assert any(name.endswith("calibration.py") for name in modules)
