"""What the task of docker-compose.yml does with each answer of a broker's management."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from kirana.broker_definitions import main
from kirana.stack.definitions import TEMPLATE


@contextmanager
def a_management(*answers):
    """Gives these (status, body) one after the other; yields its address and what it was asked."""
    asked, left = [], list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((self.path, self.headers["Authorization"], body))
            status, said = left.pop(0)
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


def environment(tmp_path, management):
    definitions, url = tmp_path / "definitions.json", tmp_path / "url"
    definitions.write_text('{"users": []}')
    url.write_text("amqp://operator:se%2Fcret@rabbitmq:5672/kirana\n")
    return {
        "KIRANA_AMQP_URL_FILE": str(url),
        "KIRANA_MANAGEMENT_URL": management,
        "KIRANA_DEFINITIONS": str(definitions),
    }


def test_a_broker_that_takes_them_gets_them_from_the_operator(tmp_path):
    with a_management((204, b"")) as (address, asked):
        status = main(environment(tmp_path, address))

    assert status == 0
    assert asked == [("/api/definitions", "Basic b3BlcmF0b3I6c2UvY3JldA==", b'{"users": []}')]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (json.dumps({"reason": "no such vhost"}).encode(), "no such vhost"),
        (b"<html>", "Bad Request"),
        (b"[]", "Bad Request"),
    ],
    ids=["a reason", "no json", "no object"],
)
def test_a_refusal_ends_it_at_once_with_the_brokers_reason(tmp_path, capsys, body, told):
    with a_management((400, body)) as (address, asked):
        status = main(environment(tmp_path, address))

    assert (status, len(asked)) == (1, 1)
    assert told in capsys.readouterr().err


def test_the_file_of_a_release_is_given_with_rights_and_without_users(tmp_path):
    told = environment(tmp_path, "") | {"KIRANA_DEFINITIONS_TEMPLATE": str(TEMPLATE)}

    with a_management((204, b"")) as (address, asked):
        assert main(told | {"KIRANA_MANAGEMENT_URL": address}) == 0

    given = json.loads(asked[0][2])
    assert "users" not in given
    assert given["topic_permissions"]
    assert given["queues"] == json.loads(TEMPLATE.read_text())["queues"]


def test_nobody_who_answers_ends_it_when_patience_does(tmp_path, capsys):
    status = main(environment(tmp_path, "http://127.0.0.1:1"), patience=0)

    assert status == 75
    assert "does not answer" in capsys.readouterr().err


def test_nothing_to_give_is_said_without_asking_anybody(tmp_path, capsys):
    told = environment(tmp_path, "http://127.0.0.1:1")
    (tmp_path / "definitions.json").unlink()

    assert main(told) == 78
    assert "kirana secrets" in capsys.readouterr().err
