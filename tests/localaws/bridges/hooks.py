"""Owns how a bridge gets into the emulator: by putting itself around one of its functions, under that function's private name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

Hook = Callable[..., Any]

# The Connect operation that is being authorised, for rights that AWS asks of the caller behind it.
behind: ContextVar[str | None] = ContextVar("behind", default=None)


def replace(module_name: str, name: str, wrap: Callable[[Hook], Hook]) -> None:
    """Refuses a name that is gone: an upgraded emulator then fails at start instead of quietly enforcing less."""
    module = importlib.import_module(f"ministack.{module_name}")
    original = getattr(module, name, None)
    if not callable(original):
        raise RuntimeError(f"The emulator no longer has ministack.{module_name}.{name}; its version is not the one in requirements-local.txt")
    setattr(module, name, wrap(original))


def replace_action(name: str, wrap: Callable[[Hook], Hook]) -> None:
    """The same for an action of EC2, which the emulator looks up in a table."""
    from ministack.services import ec2

    if name not in ec2._ACTION_MAP:
        raise RuntimeError(f"The emulator no longer has EC2's {name}; its version is not the one in requirements-local.txt")
    ec2._ACTION_MAP[name] = wrap(ec2._ACTION_MAP[name])
