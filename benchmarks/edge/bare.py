"""``python -m benchmarks.edge.bare PORT ANSWER``: Sanic alone, with one answer for whatever is asked.

ANSWER is a file with ``{"headers": {...}, "body": "..."}``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sanic import HTTPResponse, Request, Sanic


def main() -> None:
    """Serve until terminated."""
    port, answer = int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    body, headers = answer["body"].encode(), answer["headers"]
    app = Sanic("bare", configure_logging=False)

    @app.get("/<path:path>")
    async def same(_: Request, path: str) -> HTTPResponse:
        del path
        return HTTPResponse(body, headers=headers, content_type="application/json")

    app.run(host="127.0.0.1", port=port, single_process=True, access_log=False, motd=False)


if __name__ == "__main__":
    main()
