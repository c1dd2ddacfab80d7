"""What an estimator of one's own runs, as a hash: what is kept of one is not read again once it has been edited.

Compiled code is read rather than source: a notebook has it too, and it is what ran, whatever became of the file since.
"""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from tacit.files import sha256_json
from tacit.methods import Method

_PLAIN = (type(None), type(...), bool, int, float, complex, str, bytes)
_NOT_OWN = {"tacit", "builtins"}
_INSTALLED = {"site-packages", "dist-packages"}


def own_code(method: Method) -> dict[str, str | None]:
    """A hash of the code of an estimator of one's own as {"code": …}: None if some cannot be read, {} for tacit's.

    It covers the class and its bases outside tacit, and what their functions name: functions, classes and constants,
    unless these belong to tacit, to Python or to another installed package.

    Example:
        >>> from tacit.methods import Naive
        >>> class Mine(Naive):
        ...     __module__ = "lab"  # as if it had been written in a file of that name
        ...     key = "mine"
        ...     share = 0.5
        >>> before = own_code(Mine())
        >>> Mine.share = 0.4
        >>> own_code(Mine()) == before
        False
    """
    kinds = [kind for kind in type(method).__mro__ if _root(kind) not in _NOT_OWN]
    if not kinds:
        return {}
    reader = _Reader({_root(kind) for kind in kinds})
    try:
        return {"code": sha256_json([sys.version_info[:2], reader.read(kinds)])}
    except (ValueError, RecursionError):
        return {"code": None}


def can_be_kept(method: Method) -> bool:
    """Whether another run could tell that an estimator is still the same."""
    return own_code(method) != {"code": None}


class _Reader:
    """Turns code into lists of text. A function or class is read once: some name each other."""

    def __init__(self, roots: set[str]) -> None:
        self.roots = roots
        self.seen: dict[int, int] = {}

    def read(self, value: Any) -> Any:
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        elif isinstance(value, dict):
            value = list(value.items())
        elif is_dataclass(value) and not isinstance(value, type):
            value = [type(value), *(getattr(value, field.name) for field in fields(value))]
        if isinstance(value, _PLAIN):
            return repr(value)
        if isinstance(value, tuple | list):
            return [self.read(item) for item in value]
        if isinstance(value, set | frozenset):
            return sorted(repr(self.read(item)) for item in value)
        if isinstance(value, FunctionType | type | BuiltinFunctionType):
            return self.definition(value)
        raise ValueError(f"nothing is known of {type(value)} that another process would find the same")

    def definition(self, value: Any) -> Any:
        name = f"{value.__module__}.{value.__qualname__}"
        if isinstance(value, BuiltinFunctionType) or self.foreign(_root(value)):
            return name
        if id(value) in self.seen:
            return [name, self.seen[id(value)]]
        self.seen[id(value)] = len(self.seen)
        if isinstance(value, type):
            written = {k: v for k, v in vars(value).items() if k[:2] + k[-2:] != "____" or _is_start(k, v)}
            return [name, self.read(value.__bases__), self.read(written)]
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        given = [value.__defaults__, value.__kwdefaults__, cells]
        return [name, self.read(given), self.code(value.__code__, value.__globals__)]

    def code(self, code: CodeType, names: dict[str, Any]) -> Any:
        constants = [
            self.code(value, names) if isinstance(value, CodeType) else self.read(value)
            for value in code.co_consts
        ]
        return [code.co_code.hex(), code.co_names, code.co_varnames, constants, self.named(code, names)]

    def named(self, code: CodeType, names: dict[str, Any]) -> Any:
        """What of a module's own the names in some code stand for; attributes are looked up in every own module."""
        found = {name: names[name] for name in code.co_names if name in names}
        modules = [value for value in found.values() if isinstance(value, ModuleType)]
        own = [module for module in modules if not self.foreign(_root(module))]
        return [
            *([name, self.read(value)] for name, value in found.items() if value not in modules),
            *(self.named(code, vars(module)) for module in own),
        ]

    def foreign(self, root: str) -> bool:
        if root in self.roots:
            return False
        if root == "tacit" or root in sys.stdlib_module_names:
            return True
        file = getattr(sys.modules.get(root), "__file__", None) or ""
        return bool(_INSTALLED & set(file.replace("\\", "/").split("/")))


def _is_start(name: str, value: Any) -> bool:
    """Whether it is an `__init__` or `__post_init__` that somebody wrote: a dataclass makes its own, of its fields."""
    code = getattr(value, "__code__", None)
    return name in ("__init__", "__post_init__") and getattr(code, "co_filename", "") != "<string>"


def _root(value: Any) -> str:
    name = value.__name__ if isinstance(value, ModuleType) else value.__module__ or "builtins"
    return str(name).split(".")[0]
