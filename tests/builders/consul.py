"""A private Consul server with access control, as the files of ``consul/`` configure it but for being alone."""

import json
import shutil
import urllib.error
import urllib.request

from kirana.stack import consul_binary
from kirana.stack.state import CHECKOUT
from tests.builders.servers import Server, free_port


class Consul(Server):
    name = "consul"
    not_yet = (OSError, ValueError)

    def __init__(self, *configuration):
        super().__init__()
        self._configuration = configuration or (CHECKOUT / "consul" / "server.json",)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def prepare(self):
        self._binary = consul_binary.present(self.home) or consul_binary.fetch(self.home)
        alone = {
            "bootstrap_expect": 1,
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "data_dir": str(self.home / "data"),
            "ports": {
                "http": self.port,
                "server": free_port(),
                "serf_lan": free_port(),
                **dict.fromkeys(("serf_wan", "dns", "grpc"), -1),
            },
        }
        (self.home / "alone.json").write_text(json.dumps(alone))

    @property
    def command(self):
        files = (*self._configuration, self.home / "alone.json")
        return [str(self._binary), "agent", *(f"-config-file={file}" for file in files)]

    def validate(self, file):
        """What ``consul validate`` says of a configuration file of ours."""
        folder = self.home / f"validated-{file.stem}"
        folder.mkdir(exist_ok=True)
        shutil.copy(file, folder)
        (folder / "place.json").write_text(json.dumps({"data_dir": str(self.home / "elsewhere")}))
        return self.run(str(self._binary), "validate", str(folder))

    def answers(self):
        with urllib.request.urlopen(f"{self.url}/v1/status/leader", timeout=5) as answer:
            return len(json.loads(answer.read())) > 0
