"""A RabbitMQ of the tests' own: own node, own cookie, own port mapper."""

import shutil
import subprocess

import amqp

from kirana.stack.broker import SCHEDULERS
from kirana.stack.packages import rabbitmq_script
from tests.builders.servers import Server, free_port
from tests.builders.waiting import eventually

VIRTUAL_HOST = "kirana"
HANDSHAKE_SECONDS = 30
"""For each step of it, for a busy broker is a slow one; where none listens, that is known at once."""

CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
loopback_users.guest = true
default_vhost = {virtual_host}
disk_free_limit.absolute = 50MB
raft.wal_max_size_bytes = 32000000
log.console.level = warning
"""


class Connection(amqp.Connection):
    """Lets go of its socket even when the broker is past answering."""

    def close(self, *arguments, **options):
        try:
            super().close(*arguments, **options)
        except (OSError, amqp.exceptions.AMQPError):
            self.collect()


class Rabbit(Server):
    name = "rabbitmq"
    not_yet = (OSError, amqp.exceptions.AMQPError)

    def __init__(self):
        super().__init__()
        self._mapper_port, self._distribution_port = free_port(), free_port()

    @property
    def command(self):
        return [rabbitmq_script()]

    @property
    def environment(self):
        return {
            "RABBITMQ_NODENAME": f"test-{self.port}@localhost",
            "RABBITMQ_BASE": str(self.home),
            "RABBITMQ_MNESIA_BASE": str(self.home / "mnesia"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "enabled_plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{SCHEDULERS} -kernel inet_dist_use_interface {{127,0,0,1}}",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP_SECONDS": "0",
        }

    @property
    def url(self):
        return self.url_of("guest", "guest")

    def url_of(self, user, password):
        return f"amqp://{user}:{password}@127.0.0.1:{self.port}/{VIRTUAL_HOST}"

    def prepare(self):
        (self.home / "rabbitmq.conf").write_text(CONFIGURATION.format(port=self.port, virtual_host=VIRTUAL_HOST))
        (self.home / "enabled_plugins").write_text("[].\n")

    def __exit__(self, *fault):
        self.resume()
        self.kill()
        eventually(self._mapper_is_gone, what="the end of the port mapper")
        super().__exit__(*fault)

    def answers(self):
        self.connect().close()
        return True

    def connect(self):
        connection = Connection(
            f"127.0.0.1:{self.port}",
            userid="guest",
            password="guest",
            virtual_host=VIRTUAL_HOST,
            connect_timeout=HANDSHAKE_SECONDS,
        )
        try:
            connection.connect()
        except BaseException:
            connection.collect()
            raise
        return connection

    def ctl(self, *words):
        return self.run(rabbitmq_script().with_name("rabbitmqctl"), "-q", *words)

    def cut_all_connections(self):
        """As a network would: the messages stay, the connections go."""
        self.ctl("close_all_connections", "--vhost", VIRTUAL_HOST, "the test says so")

    def _mapper_is_gone(self):
        """It refuses to end for as long as it believes that a node lives."""
        mapper = shutil.which("epmd")
        done = subprocess.run(
            [mapper, "-port", str(self._mapper_port), "-kill"], capture_output=True, text=True, check=False
        )
        return "Killed" in done.stdout or "Cannot connect" in done.stdout + done.stderr
