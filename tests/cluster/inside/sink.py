"""The next hop: an SMTP server that accepts everything and writes each Subject to a file.

``python sink.py PORT FILE``. A line is on disk before the message gets 250.
"""

from __future__ import annotations

import asyncio
import os
import sys

GREETING = b"220 sink ESMTP\r\n"


class SinkServer:
    """Takes messages, and appends the subject of each to `file`."""

    def __init__(self, file: str) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a client to its end."""
        try:
            await self._converse(reader, writer)
        except (ConnectionError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                await self._keep(reader)
                writer.write(b"250 2.0.0 kept\r\n")
            elif word == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                await writer.drain()
                return
            else:
                writer.write(b"250 2.0.0 ok\r\n")
            await writer.drain()

    async def _keep(self, reader: asyncio.StreamReader) -> None:
        subject = b""
        while (line := await reader.readuntil(b"\n")) != b".\r\n":
            if not subject and line[:8].lower() == b"subject:":
                subject = line[8:].strip()
        os.write(self._file, subject + b"\n")
        os.fsync(self._file)


async def main(port: int, file: str) -> None:
    """Serve until killed."""
    server = await asyncio.start_server(SinkServer(file).serve, None, port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
