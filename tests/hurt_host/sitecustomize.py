"""Python reads this at its start where it is on the path: a machine on which the stage `upscale`
fails whatever it is given. Nothing is imported before it is used, so that Ray starts no slower."""

import sys
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from types import ModuleType
from typing import Any


def _fail(*_: object) -> None:
    raise RuntimeError("uncorrectable ECC error")


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> Any:
        if fullname != "tasks.upscale":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            module.Upscale.process = _fail

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _Finder())
