"""A shop in containers is operated by its broker's address alone: there is no local stack where the command runs."""

import json
import uuid

import httpx
import pytest

from tests.stack_fixture import kirana

PASSWORD = "correct horse battery"
OTHER = "another horse battery"


@pytest.fixture
def elsewhere(stack, tmp_path):
    """Runs a command as in a container that knows the operator's address of the broker and nothing else."""
    home = tmp_path / "nothing here"
    (tmp_path / "operator_amqp_url").write_text(stack.amqp)

    def run(*arguments, by_file=False, **options):
        told = {"KIRANA_AMQP_URL_FILE": str(tmp_path / "operator_amqp_url")} if by_file else None
        done = kirana(home, *arguments, variables=told or {"KIRANA_AMQP_URL": stack.amqp}, **options)
        assert not home.exists(), "it needs no place to write to"
        return done

    return run


def said(done):
    assert done.returncode == 0, done.stderr
    return done.stdout


def logged_in(stack, name, password):
    return httpx.post(f"{stack.edge_url}/api/token", json={"username": name, "password": password}, timeout=30)


def test_the_first_administrator_is_made_and_the_same_command_again_changes_nothing(stack, elsewhere, tmp_path):
    name = f"asha-{uuid.uuid4()}"
    (tmp_path / "password").write_text(f"{PASSWORD}\n")

    first = said(elsewhere("users", "admin", name, input=f"{PASSWORD}\n"))
    tokens = logged_in(stack, name, PASSWORD).json()
    again = said(elsewhere("users", "admin", name, "--password-file", str(tmp_path / "password"), by_file=True))

    assert first == f"{name} has an account now and is an administrator: catalog:write, orders:manage, edge:admin\n"
    assert "had an account before" in again
    as_admin = {"Authorization": f"Bearer {tokens['access']}"}
    assert httpx.get(f"{stack.edge_url}/admin/routes", headers=as_admin, timeout=30).status_code == 200
    refreshed = httpx.post(f"{stack.edge_url}/api/token/refresh", json={"refresh": tokens["refresh"]}, timeout=30)
    assert refreshed.status_code == 200, "nobody was logged out"


def test_a_customer_may_become_one_which_is_told_with_where_the_mail_goes(stack, elsewhere):
    name = f"ravi-{uuid.uuid4()}"
    customer = {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "password2": PASSWORD}
    assert httpx.post(f"{stack.edge_url}/api/users", json=customer, timeout=30).status_code == 201

    done = said(elsewhere("users", "admin", name, input=OTHER))

    assert f"had an account before, whose mail goes to {name}@example.com" in done
    assert logged_in(stack, name, PASSWORD).status_code == 401
    assert logged_in(stack, name, OTHER).status_code == 200


def test_a_weak_password_is_refused_and_not_told_back(stack, elsewhere):
    name = f"asha-{uuid.uuid4()}"

    done = elsewhere("users", "admin", name, input="too short")

    assert done.returncode == 1
    assert "at least 12 characters" in done.stderr
    assert "too short" not in done.stdout + done.stderr
    assert logged_in(stack, name, "too short").status_code == 401


def test_the_audit_says_what_it_cannot_see_from_there(elsewhere):
    done = elsewhere("audit", timeout=280)
    told = json.loads(elsewhere("audit", "--json", timeout=280).stdout)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Left out: whether the mails arrived" in done.stderr
    assert [len(told["left_out"]), told["ok"]] == [1, True]


def test_the_local_stacks_audit_leaves_nothing_out(stack):
    assert json.loads(kirana(stack.home, "audit", "--json").stdout)["left_out"] == []


def test_keys_clients_tokens_products_and_the_shell_are_at_hand(stack, elsewhere):
    client = json.loads(said(elsewhere("clients", "add", f"warehouse {uuid.uuid4()}"[:64], "--json")))
    said(elsewhere("clients", "remove", client["client_id"]))

    assert json.loads(said(elsewhere("keys", "list", "--json")))
    assert said(elsewhere("token", "--user", stack.admin_username)).count(".") == 2
    assert elsewhere("seed", "--products", "1").returncode == 0
    assert said(elsewhere("shell", input="print(n.rpc.catalog.check_health()['service'])")).strip() == "catalog"


def test_a_user_of_one_service_is_no_operator(stack, elsewhere):
    passwords = json.loads((stack.home / "passwords.json").read_text())
    order = f"amqp://order:{passwords['amqp.order']}@{stack.amqp.partition('@')[2]}"

    done = kirana(stack.home, "keys", "list", variables={"KIRANA_AMQP_URL": order})

    assert done.returncode == 1
    assert "KIRANA_AMQP_URL" in done.stderr
