# SPDX-License-Identifier: Apache-2.0
"""Parts of a package without what its __init__ files import (CUDA extensions, models, data sets)."""

import pathlib
import sys
import types


def packages(*names):
    """Makes `names` and their parents importable as folders alone."""
    for name in names:
        words = name.split(".")
        top = next(pathlib.Path(p) for p in sys.path if (pathlib.Path(p) / words[0] / "__init__.py").exists())
        for n in range(1, len(words) + 1):
            module = types.ModuleType(".".join(words[:n]))
            module.__path__ = [str(top.joinpath(*words[:n]))]
            sys.modules.setdefault(module.__name__, module)
