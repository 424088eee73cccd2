"""Server of a table for podop: ``url_table.py PORT FILE``, with the Python that has podop.

It answers ``GET /mailboxes/ADDRESS`` with the address in JSON, or 404.
"""

from __future__ import annotations

import sqlite3
import sys

from aiohttp import web

_QUERY = "SELECT address FROM mailbox WHERE address = ? AND enabled = 1 AND may_receive = 1"


def main(port: int, file: str) -> None:
    """Serve until killed."""
    db = sqlite3.connect(file)

    async def mailbox(request: web.Request) -> web.Response:
        row = db.execute(_QUERY, (request.match_info["address"],)).fetchone()
        return web.json_response(row[0]) if row else web.json_response(None, status=404)

    async def ready(request: web.Request) -> web.Response:
        del request
        return web.Response()

    application = web.Application()
    application.router.add_get("/mailboxes/{address}", mailbox)
    application.router.add_get("/ready", ready)
    web.run_app(application, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
