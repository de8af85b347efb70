"""What a forked child must not share with its parent: held locks and open connections.

A child inherits every lock as it stood, also one that a thread held which the child does not have, and
every socket: two processes that read one connection get each other's answers. So each owner of such a
thing registers here and is renewed in the child before any of its code runs.

Source: POSIX fork(); https://docs.python.org/3/library/os.html#os.register_at_fork.
"""

import os
import socket
import threading
from types import TracebackType
from typing import Protocol
from weakref import WeakSet


class ForkAware(Protocol):
    """Something that a forked child must renew."""

    def after_fork(self) -> None:
        """Renew what cannot be shared. No other thread exists; take no lock that existed before."""


_owners: "WeakSet[ForkAware]" = WeakSet()


def renew_after_fork(owner: ForkAware) -> None:
    """Call `owner.after_fork()` in every child that is forked while it lives."""
    _owners.add(owner)


def _after_fork_in_child() -> None:
    for owner in list(_owners):
        owner.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_after_fork_in_child)


class Lock:
    """A lock that is free in a forked child, and that a copied or unpickled object gets anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        renew_after_fork(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type["Lock"], tuple[()]]:
        return Lock, ()

    def after_fork(self) -> None:
        """Be free: the thread that held it is in the parent."""
        self._lock = threading.Lock()


class OwnedSockets:
    """The sockets that this process has opened; a forked child closes its copies of them.

    Only the descriptors: nothing is sent and no event loop is told, since both would act on what
    is still the parent's.
    """

    def __init__(self) -> None:
        self._sockets: WeakSet[socket.socket] = WeakSet()
        renew_after_fork(self)

    def add(self, opened: socket.socket) -> None:
        """Remember a socket for as long as it lives."""
        self._sockets.add(opened)

    def after_fork(self) -> None:
        """Close the inherited descriptors, so that the parent's connections end when it closes them."""
        for inherited in list(self._sockets):
            descriptor = inherited.detach()
            if descriptor >= 0:
                os.close(descriptor)
        self._sockets = WeakSet()
