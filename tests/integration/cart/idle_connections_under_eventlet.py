"""Run by a test, as its own process: is a connection that Redis has closed while it lay idle used again?"""

import warnings

warnings.filterwarnings("ignore", message="(?s).*Eventlet is deprecated")

import eventlet  # noqa: E402

eventlet.monkey_patch()

import sys  # noqa: E402

from rpc_services.cart import shards  # noqa: E402

MANY = 8
shards.TIMEOUT_SECONDS = 20.0  # a busy machine is no silent Redis


def main():
    (client,) = shards.Shards([sys.argv[1]]).clients
    pool = client.connection_pool
    for connection in [pool.get_connection() for _ in range(MANY)]:
        pool.release(connection)
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    said = [greenlet.wait() for greenlet in [eventlet.spawn(client.ping) for _ in range(MANY)]]
    print(said.count(True))


main()
