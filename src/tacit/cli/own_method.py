"""An estimator of one's own by its import path, `module:Class` or `module:instance`, as the command line takes it."""

from __future__ import annotations

import importlib
import sys
import traceback
from pathlib import Path
from sysconfig import get_path
from types import ModuleType
from typing import TYPE_CHECKING

from tacit.errors import ConfigError, did_you_mean, shown

if TYPE_CHECKING:
    from tacit.methods import Method


def load_method(path: str) -> Method:
    """The estimator at an import path; the current folder is looked in first. A class is taken with its defaults.

    Raises:
        ConfigError: no such module or name, a module that cannot be imported, or something else than an estimator.
    """
    from tacit.methods import Method

    place, _, name = path.partition(":")
    is_file = place.endswith(".py")
    if is_file or not all(part.isidentifier() for part in [*place.split("."), name]):
        hint = place.removesuffix(".py").replace("/", ".") if is_file else "module"
        raise ConfigError(f"{path}: expected an import path such as {hint}:{name or 'MyMethod'}")
    module = _import(path, place)
    if not hasattr(module, name):
        raise ConfigError(f"{path}: {place} has no {name!r}; {_has(module)}{did_you_mean(name, dir(module))}")
    found = getattr(module, name)
    if isinstance(found, type) and issubclass(found, Method):
        try:
            return found()
        except Exception as error:
            raise ConfigError(
                f"{path}: {name}() failed: {_told(error)}; give its parameters defaults, or name an instance: "
                f"{place}:instance"
            ) from error
    if not isinstance(found, Method):
        raise ConfigError(
            f"{path}: found {shown(found)}, expected a class of tacit.methods.Method, or an instance; {_has(module)}"
        )
    return found


def _import(path: str, place: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # it stays: processes that fit side by side import the module too
    try:
        return importlib.import_module(place)
    except (Exception, SystemExit) as error:
        absent = error.name if isinstance(error, ModuleNotFoundError) else None
        if absent and f"{place}.".startswith(f"{absent}."):
            raise ConfigError(
                f"{path}: there is no module {absent!r} in the current folder, nor is one installed"
            ) from None
        raise ConfigError(f"{path}: {place} cannot be imported: {_told(error)}") from error


def _told(error: BaseException) -> str:
    """The last line of an error, after the line of the user's own code that led to it."""
    line = traceback.format_exception_only(error)[-1].strip()
    if isinstance(error, SyntaxError):
        return f"{_shown_path(str(error.filename))}, line {error.lineno}: {line}"
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_own(frame.filename)]
    return f"{_shown_path(own[-1].filename)}, line {own[-1].lineno}: {line}" if own else line


def _is_own(file: str) -> bool:
    paths = [
        Path(__file__).parents[1],
        *map(Path, (get_path("stdlib"), get_path("purelib"), get_path("platlib"))),
    ]
    return not file.startswith("<") and not any(path in Path(file).parents for path in paths)


def _shown_path(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _has(module: ModuleType) -> str:
    """The estimators that a module defines, in words."""
    from tacit.methods import Method

    names = [
        name
        for name, value in vars(module).items()
        if isinstance(value, Method)
        or (isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__)
    ]
    return f"its estimators are {', '.join(names)}" if names else "it has no estimator"
