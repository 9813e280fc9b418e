"""The entries of the virtual loop's heap and queue: calls, handles, timers; and its tasks and futures."""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from voxpool.sim.virtual_time.loop import VirtualLoop

T = TypeVar("T")


class After(functools.partial[object]):
    """A call at a given time: the cheapest kind of event. The loop calls it; Environment.step can run it, too."""

    __slots__ = ()

    _ok = True
    _value = None

    @property
    def callbacks(self) -> Any:
        return (lambda _: self(),)

    @callbacks.setter
    def callbacks(self, _: Any) -> None:
        pass


class Handle(asyncio.Handle):
    """asyncio's Handle without the data of its debug mode."""

    __slots__ = ()
    _context: contextvars.Context

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._callback: Any = callback
        self._args: Any = args
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        self._callback = self._args = None

    def __repr__(self) -> str:
        return f"<handle {self._callback!r}{' cancelled' if self._cancelled else ''}>"


class Timer(asyncio.TimerHandle):
    """A timer of the loop, an event in SimPy's heap; without the data of the debug mode."""

    __slots__ = ()

    _ok = True
    _value = None
    # An attribute of asyncio's class that its type stubs omit.
    _loop: VirtualLoop
    _context: contextvars.Context
    _callback: Any
    _scheduled: bool
    _when: float

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._when = when
        self._context = contextvars.copy_context() if context is None else context
        self._callback = callback
        self._args: Any = args
        self._loop = loop
        self._cancelled = False
        self._scheduled = True

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._callback = self._args = None
            self._loop._timer_handle_cancelled(self)

    def __repr__(self) -> str:
        return f"<timer at {self._when} {self._callback!r}{' cancelled' if self._cancelled else ''}>"

    @property
    def callbacks(self) -> Any:
        """The callbacks for Environment.step, which manual runs use."""
        return (self._fire,)

    @callbacks.setter
    def callbacks(self, _: Any) -> None:
        pass

    def _fire(self, _: object) -> None:
        self._loop.timer_fired(self)


class SimTask(asyncio.Task[T]):
    """A task whose hash is its creation number, so that sets of tasks iterate in the same order in each process."""

    process: Any = None
    """The process of a network that it belongs to."""

    def __init__(self, coro: Any, birth: int, **options: Any) -> None:
        self.birth = birth
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self.birth


class SimFuture(asyncio.Future[T]):
    """A future whose hash is its creation number."""

    birth = 0

    def __hash__(self) -> int:
        return self.birth
