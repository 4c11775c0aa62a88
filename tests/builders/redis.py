"""A Redis of the tests' own."""

import redis

from kirana.stack.packages import redis_program
from tests.builders.servers import Server


class Redis(Server):
    name = "redis"
    not_yet = (redis.ConnectionError,)

    @property
    def command(self):
        return [redis_program(), "--port", str(self.port), "--dir", self.home, "--save", "", "--appendonly", "yes"]

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self):
        return redis.Redis(port=self.port, decode_responses=True)

    def answers(self):
        with self.client as client:
            return client.ping()
