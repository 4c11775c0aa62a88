"""The stores of the containers, begun as there with the files that are drawn, do what the shop counts on."""

from pathlib import Path

import pytest
import redis
import yaml

from kirana.container_secrets import contents
from kirana.stack.packages import redis_program
from kirana.stack.passwords import draw
from tests.builders.servers import Server

COMPOSE = yaml.safe_load((Path(__file__).parents[3] / "docker-compose.yml").read_text())["services"]
PASSWORDS = draw()
DRAWN = contents(PASSWORDS)
MIB = 2**20


class AsInItsContainer(Server):
    """Beside its own arguments it gets a port and a folder of the test's."""

    not_yet = (redis.ConnectionError,)

    def __init__(self, name):
        super().__init__()
        self.name = name
        _, secret, *self.arguments = COMPOSE[name]["command"]
        self._file = f"{Path(secret).name.removesuffix('_conf')}.conf"

    def prepare(self):
        (self.home / self._file).write_text(DRAWN[self._file].replace("/data", str(self.home)))

    @property
    def command(self):
        return [redis_program(), self.home / self._file, *self.arguments, "--port", str(self.port)]

    def says(self, *names):
        password = PASSWORDS[self.name.replace("-", ".")]
        with redis.Redis(port=self.port, password=password, decode_responses=True) as client:
            return client.config_get(*names)

    def answers(self):
        return self.says("port")


@pytest.mark.parametrize(("name", "policy"), [("redis-carts", "noeviction"), ("redis-edge", "allkeys-lru")])
def test_a_full_redis_does_what_its_data_is_worth_before_the_kernel_ends_it(name, policy):
    limit = COMPOSE[name]["deploy"]["resources"]["limits"]["memory"]
    with AsInItsContainer(name) as server:
        said = server.says("maxmemory", "maxmemory-policy")

    assert said["maxmemory-policy"] == policy
    assert limit.endswith("M")
    assert 0 < int(said["maxmemory"]) <= 0.75 * int(limit[:-1]) * MIB
