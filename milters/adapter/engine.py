"""Runs libmilter in this process."""

from __future__ import annotations

import contextlib
import ctypes

import Milter
import milter

from milters.adapter.connection import Connection


def run(connection: type[Connection]) -> None:
    """Let libmilter take connections and call back; returns only when it cannot go on.

    Raises `milter.error`.
    """
    Milter.factory = connection
    milter.set_connect_callback(Milter.connect_callback)
    milter.set_helo_callback(lambda ctx, name: ctx.getpriv().hello(name))
    milter.set_envfrom_callback(lambda ctx, *words: ctx.getpriv().envfrom(*words))
    milter.set_envrcpt_callback(lambda ctx, *words: ctx.getpriv().envrcpt(*words))
    milter.set_header_callback(lambda ctx, name, value: ctx.getpriv().header(name, value))
    milter.set_eoh_callback(lambda ctx: ctx.getpriv().eoh())
    milter.set_body_callback(lambda ctx, chunk: ctx.getpriv().body(chunk))
    milter.set_eom_callback(lambda ctx: ctx.getpriv().eom())
    milter.set_abort_callback(lambda ctx: ctx.getpriv().abort())
    milter.set_close_callback(Milter.close_callback)
    milter.register(
        "gatepost", data=lambda ctx: ctx.getpriv().data(), negotiate=Milter.negotiate_callback
    )
    milter.main()


def take_long_fields(octets: int) -> None:
    """Let libmilter take header fields of so many octets.

    Its own limit is 65535, beyond which it hangs up, so that the message is deferred until it
    bounces. Postfix cuts fields at 60000 octets where it has milters; other MTAs do not. pymilter
    does not know the call, and not every libmilter has it.
    """
    with contextlib.suppress(AttributeError):
        call = ctypes.CDLL(milter.__file__).smfi_setmaxdatasize
        call.argtypes, call.restype = [ctypes.c_size_t], ctypes.c_size_t
        call(octets)
