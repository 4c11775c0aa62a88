"""``python a_sibling.py PORT TOLD``: a worker of the edge on this port that tells this JSON until its input ends."""

import asyncio
import sys

import orjson

from edge.status.siblings import Door


async def main():
    door = Door(lambda: orjson.loads(sys.argv[2]), edge_port=int(sys.argv[1]))
    await door.open()
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await door.close()


asyncio.run(main())
