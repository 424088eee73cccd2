"""The runner of a daemon with several worker processes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from gatepost.daemon.reloader import Reloader
from gatepost.daemon.start import S, Started
from gatepost.daemon.workers import Control, Prefork

T = TypeVar("T")

Work: TypeAlias = Callable[[Control, asyncio.Event], Coroutine[Any, Any, None]]
"""The life of a worker in its event loop: it accepts connections, calls ``control.ready()``, and
drains and returns when the event is set."""


def run_prefork(
    started: Started[S], reloader: Reloader[S, T], workers: int, work: Work, *, draining: str
) -> int:
    """Serve from `workers` processes until SIGTERM or SIGINT; returns the exit status.

    `draining` is the log line at the beginning of the drain. Raises `StartError` if the daemon
    cannot continue because a socket was removed.
    """
    import uvloop  # `starting` has loaded it and explains why

    metrics = started.metrics

    def in_worker(control: Control) -> None:
        if metrics is not None:
            metrics.leave()
        reloader.current.count()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent reads the configuration first
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_live(control, reloader, work))

    prefork = Prefork(
        workers,
        in_worker,
        log=started.log,
        reload=reloader.reload,
        changed=reloader.changed,
        grace=lambda: reloader.settings.drain_grace,
        started=metrics.start if metrics is not None else lambda: None,
        draining=started.listeners.close,
        told=draining,
        fork_lock=metrics.lock if metrics is not None else None,
    )
    prefork.add_probes(started.probes)
    gc.collect()
    gc.freeze()  # workers share existing objects, and their garbage collections skip them
    return prefork.run()


async def _live(control: Control, reloader: Reloader[S, T], work: Work) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def drain() -> None:
        with contextlib.suppress(RuntimeError):  # the loop may have ended before the parent
            loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)  # a service manager may signal workers too
    control.listen(on_reload=reloader.reload_in_worker, on_drain=drain)
    await work(control, stop)
