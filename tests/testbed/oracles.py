"""DKIM verifiers as oracles: dkimpy and opendkim-testmsg, which use our DNS server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import dkim
import dns.exception
import dns.message
import dns.query

from tests.testbed.dns import DnsServer

TIMEOUT = 30
"""Maximum seconds for opendkim-testmsg."""

_FIELD = re.compile(rb"(?ims)^dkim-signature:.*?\r\n(?![ \t])")


class OracleError(Exception):
    """An oracle gave no answer; the message says why."""


def algorithms(message: bytes) -> list[str]:
    """Return the a= tag of each DKIM-Signature field, from the top."""
    header = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    found = (re.search(rb"[:;\s]a\s*=\s*([\w-]+)", field) for field in _FIELD.findall(header))
    return [match[1].decode() if match else "" for match in found]


def dkimpy_verdicts(message: bytes, server: DnsServer) -> list[tuple[str, str]]:
    """Return, for each signature from the top, its algorithm and ``pass`` or dkimpy's error."""
    verdicts = []
    for index, algorithm in enumerate(algorithms(message)):
        try:
            valid = dkim.DKIM(message).verify(idx=index, dnsfunc=_txt_of(server))
            verdicts.append((algorithm, "pass" if valid else "the signature does not verify"))
        except (dkim.DKIMException, dns.exception.DNSException) as error:
            verdicts.append((algorithm, str(error)))
    return verdicts


def dkimpy_chain(message: bytes, server: DnsServer) -> str:
    """Return the result of the message's ARC chain, such as ``pass`` or ``none``."""
    result, _, reason = dkim.arc_verify(message, dnsfunc=_txt_of(server))
    text = result.decode() if isinstance(result, bytes) else "none"
    return text if text in ("pass", "none") else f"{text}: {reason}"


def _txt_of(server: DnsServer) -> Callable[..., bytes]:
    def txt(name: bytes, timeout: int = 5) -> bytes:
        query = dns.message.make_query(name.decode(), "TXT")
        response = dns.query.tcp(query, server.host, port=server.port, timeout=timeout)
        strings = [record.strings for rrset in response.answer for record in rrset]
        return b"".join(strings[0]) if strings else b""

    return txt


def opendkim_verdict(message: bytes, server: DnsServer, directory: Path, *, algorithm: str) -> str:
    """Return ``pass`` or the error of opendkim-testmsg for the signatures of `algorithm`.

    Other signatures are removed first. opendkim-testmsg uses the resolver of the machine, so
    resolv_wrapper gives it another resolv.conf. While it runs, our zone is served on port 53 of a
    separate loopback address.
    """
    program = shutil.which("opendkim-testmsg", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise OracleError("opendkim-testmsg is not installed (package opendkim-tools)")
    host = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
    configuration = directory / "opendkim-resolv.conf"
    configuration.write_text(f"nameserver {host}\n")
    try:
        with DnsServer(server.zone, host=host, port=53) as on_port_53:
            done = subprocess.run(
                [program],
                input=_with_one_signature(message, algorithm).replace(b"\r\n", b"\n"),
                capture_output=True,
                timeout=TIMEOUT,
                check=False,
                env={
                    **os.environ,
                    "LD_PRELOAD": "libresolv_wrapper.so",
                    "RESOLV_WRAPPER_CONF": str(configuration),
                },
            )
            if not on_port_53.asked():
                raise OracleError("opendkim-testmsg asked for no key: is libresolv-wrapper there?")
    except OSError as error:
        raise OracleError(f"no DNS on {host}:53 for opendkim-testmsg: {error}") from error
    return "pass" if done.returncode == 0 else done.stderr.decode().strip()


def _with_one_signature(message: bytes, algorithm: str) -> bytes:
    header, empty, body = message.partition(b"\r\n\r\n")

    def keep(field: re.Match[bytes]) -> bytes:
        return field[0] if algorithm in algorithms(field[0] + b"\r\n") else b""

    return _FIELD.sub(keep, header + b"\r\n") + empty[2:] + body
