"""Accounts, sessions, clients and keys as those outside meet them: what has ended is refused everywhere at once."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx
import jwt
import pytest
from typer.testing import CliRunner

from kirana.cli import build_app
from kirana.stack.faults import StackFault
from tests.builders.shop import PASSWORD, Client, assert_problem, logged_in, registered, settled, unique
from tests.builders.waiting import eventually

BETTER = "another good long password"
AT_ONCE = 10.0
"""Seconds: a second is promised, the rest is for a machine that does much else."""


def operate(stack, *arguments):
    """Run a command of the operator's, in this process."""
    done = CliRunner().invoke(build_app(), arguments, env={"KIRANA_HOME": str(stack.home)}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def is_refused(stack, token):
    with Client(stack, token=token) as client:
        return client.get("/api/users/me").status_code == 401


def is_refused_soon(stack, token):
    return eventually(lambda: is_refused(stack, token), within=AT_ONCE, what="the refusal of a token that has ended")


@pytest.fixture
def user(stack):
    return registered(stack)


class TestTheAccount:
    def test_registering_says_who_one_is_and_nothing_that_is_not_ones_business(self, stack, client):
        name = unique("user")
        body = {"username": name, "password": PASSWORD, "password2": PASSWORD, "email": f"{name}@example.com"}

        answer = client.post("/api/users", json=body)

        assert answer.status_code == 201
        assert answer.headers["location"] == "/api/users/me"
        known = {"id", "username", "email", "first_name", "last_name", "phone_number"}
        assert answer.json().keys() == known
        with Client(stack, token=logged_in(stack, body)["access"]) as me:
            assert me.get("/api/users/me").json() == answer.json()

    def test_who_registers_twice_with_one_key_has_one_account_and_is_told_so(self, client):
        name, key = unique("user"), {"Idempotency-Key": unique("key")}
        body = {"username": name, "password": PASSWORD, "password2": PASSWORD, "email": f"{name}@example.com"}

        first, again = (client.post("/api/users", json=body, headers=key) for _ in range(2))
        other = client.post("/api/users", json=body | {"first_name": "X"}, headers=key)

        assert (again.status_code, again.json()) == (201, first.json())
        assert again.headers["idempotency-replayed"] == "true"
        assert_problem(other, 422, "idempotency.key_reused")
        assert_problem(client.post("/api/users", json=body), 409, "identity.username_taken")

    def test_nobody_makes_themselves_more_than_they_are(self, customer):
        before = customer.get("/api/users/me").json()
        more = dict.fromkeys(("id", "user_id", "username", "scopes", "is_admin", "is_disabled", "created_at"), "admin")

        answer = customer.patch("/api/users/me", json={"first_name": "Eve"} | more)

        problem = assert_problem(answer, 400, "request.invalid")
        assert {fault["pointer"] for fault in problem["errors"]} == {f"/{member}" for member in more}
        assert customer.get("/api/users/me").json() == before

    def test_a_profile_changes_in_what_is_given(self, customer):
        before = customer.get("/api/users/me").json()

        answer = customer.patch("/api/users/me", json={"first_name": "Ada", "phone_number": "+44 20"})

        assert answer.json() == before | {"first_name": "Ada", "phone_number": "+44 20"}
        assert customer.get("/api/users/me").json() == answer.json()

    def test_every_bad_field_of_a_profile_is_named_at_once(self, customer):
        answer = customer.patch(
            "/api/users/me", json={"email": "nowhere", "first_name": 7, "phone_number": "drop table"}
        )

        problem = assert_problem(answer, 400, "request.invalid")
        assert {fault["pointer"] for fault in problem["errors"]} == {"/email", "/first_name", "/phone_number"}

    def test_the_address_of_another_is_taken(self, user, customer):
        assert_problem(
            customer.patch("/api/users/me", json={"email": user["email"].upper()}), 409, "identity.email_taken"
        )

    @pytest.mark.parametrize(
        ("password", "status"),
        [("", 401), ("a\0b", 401), ("p" * 1024, 401), ("p" * 1025, 400), ("p" * 1_000_000, 413), (7, 400)],
        ids=["nothing", "NUL", "as long as can be", "longer", "a megabyte", "a number"],
    )
    def test_a_strange_password_is_refused_and_nothing_breaks(self, client, user, password, status):
        assert_problem(client.post("/api/token", json={"username": user["username"], "password": password}), status)

    def test_a_password_counts_to_its_last_character_and_in_any_normal_form(self, client):
        name, long = unique("user"), "é" * 20 + "correct horse battery staple " * 4
        body = {"username": name, "password": long, "password2": long, "email": f"{name}@example.com"}
        assert client.post("/api/users", json=body).status_code == 201

        def status_with(password):
            return client.post("/api/token", json={"username": name, "password": password}).status_code

        assert status_with(long.replace("é", "e\u0301")) == 200
        assert status_with(long[:-1]) == 401


def tried(stack, outcome):
    told = httpx.get(stack.metrics["identity-1"]).text
    return float(re.search(rf'^kirana_identity_logins_total{{outcome="{outcome}"}} (\S+)$', told, re.MULTILINE)[1])


def test_logins_are_counted_by_what_became_of_them(stack, client, user):
    before = [tried(stack, outcome) for outcome in ("admitted", "refused")]

    logged_in(stack, user)
    client.post("/api/token", json=user_login(user) | {"password": "wrong"})

    assert [tried(stack, outcome) for outcome in ("admitted", "refused")] == [count + 1 for count in before]


class TestSessions:
    def test_a_new_password_ends_all_other_sessions_at_once_and_keeps_the_one_that_asked(self, stack, user):
        kept, others = logged_in(stack, user), [logged_in(stack, user) for _ in range(3)]
        change = {"current_password": PASSWORD, "password": BETTER, "password2": BETTER}

        with Client(stack, token=kept["access"]) as session:
            answer = session.post("/api/users/me/password", json=change)
            fresh = logged_in(stack, user | {"password": BETTER})

            assert answer.status_code == 204
            for other in others:
                assert is_refused_soon(stack, other["access"])
                refused = session.post("/api/token/refresh", json={"refresh": other["refresh"]})
                assert_problem(refused, 401, "identity.invalid_refresh_token")
            assert session.get("/api/users/me").status_code == 200
            assert session.post("/api/token/refresh", json={"refresh": kept["refresh"]}).status_code == 200
            assert_problem(session.post("/api/token", json=user_login(user)), 401, "identity.invalid_credentials")
        assert not is_refused(stack, fresh["access"])

    def test_a_wrong_old_and_a_weak_new_password_are_told_at_once_and_end_nothing(self, stack, user):
        other = logged_in(stack, user)
        with Client(stack, token=logged_in(stack, user)["access"]) as session:
            answer = session.post(
                "/api/users/me/password", json={"current_password": "wrong", "password": "short", "password2": "other"}
            )

        problem = assert_problem(answer, 400, "request.invalid")
        assert {fault["pointer"] for fault in problem["errors"]} == {"/current_password", "/password", "/password2"}
        assert not is_refused(stack, other["access"])

    def test_a_password_is_changed_once_however_often_it_is_asked_with_one_key(self, stack, user):
        change = {"current_password": PASSWORD, "password": BETTER, "password2": BETTER}
        with Client(stack, token=logged_in(stack, user)["access"]) as session:
            key = {"Idempotency-Key": unique("key")}
            first, again = (session.post("/api/users/me/password", json=change, headers=key) for _ in range(2))

        assert (first.status_code, again.status_code) == (204, 204)
        assert again.headers["idempotency-replayed"] == "true"

    def test_one_sees_where_one_is_logged_in_and_logs_out_there(self, stack, user):
        here, there = logged_in(stack, user), logged_in(stack, user)
        with Client(stack, token=here["access"]) as session:
            [other] = [each for each in session.get("/api/users/me/sessions").json() if not each["is_current"]]

            ended = session.delete(f"/api/users/me/sessions/{other['id']}")

            assert ended.status_code == 204
            assert is_refused_soon(stack, there["access"])
            assert [each["is_current"] for each in session.get("/api/users/me/sessions").json()] == [True]

    def test_nobody_ends_the_session_of_another(self, stack, user, customer):
        victim = logged_in(stack, user)
        session_id = jwt.decode(victim["access"], options={"verify_signature": False})["sid"]

        customer.delete(f"/api/users/me/sessions/{session_id}")

        assert customer.get("/api/users/me/sessions").status_code == 200
        assert not is_refused(stack, victim["access"])

    def test_a_user_who_is_kept_out_is_out_at_once_and_gets_the_answer_of_a_wrong_password(self, stack, client, user):
        pair = logged_in(stack, user)
        wrong = client.post("/api/token", json=user_login(user) | {"password": "wrong"}).json()

        operate(stack, "users", "disable", user["username"].upper())

        assert is_refused_soon(stack, pair["access"])
        assert client.post("/api/token/refresh", json={"refresh": pair["refresh"]}).status_code == 401
        answer = assert_problem(client.post("/api/token", json=user_login(user)), 401, "identity.invalid_credentials")
        assert {**answer, "request_id": ""} == {**wrong, "request_id": ""}
        operate(stack, "users", "enable", user["username"])
        assert not is_refused(stack, logged_in(stack, user)["access"])


class TestClients:
    @pytest.fixture
    def partner(self, stack):
        made = json.loads(operate(stack, "clients", "add", unique("partner"), "--scope", "catalog:write", "--json"))
        return made["client_id"], made["client_secret"]

    def granted(self, client, partner, **form):
        return client.post("/oauth/token", data={"grant_type": "client_credentials"} | form, auth=partner)

    def test_a_partner_does_what_its_scopes_allow_until_it_is_removed(self, stack, client, partner):
        answer = self.granted(client, partner)
        token = answer.json()["access_token"]

        assert answer.headers["cache-control"] == "no-store"
        assert answer.json().keys() == {"access_token", "token_type", "expires_in", "scope"}
        with Client(stack, token=token) as session:
            assert session.delete("/api/products/999999999").status_code == 404
            assert_problem(session.get("/admin/breakers"), 403, "auth.insufficient_scope")
            order = {"items": [{"product_id": 1, "quantity": 1}]}
            ordered = session.post("/api/orders", json=order, headers={"Idempotency-Key": unique("key")})
            assert_problem(ordered, 403, "auth.insufficient_scope")
            operate(stack, "clients", "remove", partner[0])
            eventually(lambda: session.delete("/api/products/999999999").status_code == 401, within=AT_ONCE)
        assert self.granted(client, partner).json()["error"] == "invalid_client"

    def test_a_partner_that_logs_out_is_out_at_every_worker_and_its_other_grants_go_on(self, stack, client, partner):
        one, other, kept = (self.granted(client, partner).json()["access_token"] for _ in range(3))
        session_id = jwt.decode(other, options={"verify_signature": False})["sid"]
        assert not any(is_refused(stack, token) for token in (one, other, kept))

        with Client(stack, token=one) as session:
            assert session.post("/api/token/revoke").status_code == 204
        with Client(stack, token=kept) as session:
            assert session.delete(f"/api/users/me/sessions/{session_id}").status_code == 204

        for token in (one, other):
            eventually(
                lambda: all(is_refused(stack, token) for _ in range(12)),  # noqa: B023
                within=AT_ONCE,
                what="the refusal at every worker: each try is a connection of its own",
            )
        assert not is_refused(stack, kept)

    def test_what_a_partner_may_not_have_it_does_not_get(self, client, partner):
        refused = self.granted(client, partner, scope="edge:admin")
        wrong = client.post("/oauth/token", data={"grant_type": "client_credentials"}, auth=(partner[0], "wrong"))

        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
        assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
        assert wrong.headers["www-authenticate"].startswith("Basic")

    def test_a_refresh_token_is_exchanged_here_too_and_once(self, stack, client, user):
        pair = logged_in(stack, user)

        answer = client.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": pair["refresh"]})

        assert answer.status_code == 200
        assert not is_refused(stack, answer.json()["access_token"])
        late = client.post("/api/token/refresh", json={"refresh": pair["refresh"]})
        assert late.json()["refresh"] == answer.json()["refresh_token"]
        bad = client.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": "krt_nothing"})
        assert (bad.status_code, bad.json()["error"]) == (400, "invalid_grant")

    def test_the_metadata_is_found_where_it_says_and_names_who_issues_the_tokens(self, stack, client, user):
        told = client.get("/.well-known/oauth-authorization-server").json()

        claims = jwt.decode(logged_in(stack, user)["access"], options={"verify_signature": False})
        assert claims["iss"] == told["issuer"] == stack.edge_url
        assert client.get(told["jwks_uri"]).json()["keys"]
        assert client.post(told["token_endpoint"], data={}).json()["error"] == "invalid_request"


class TestTheOperator:
    def test_a_client_is_shown_and_its_secret_only_once(self, stack):
        name = unique("partner")
        made = operate(stack, "clients", "add", name, "--scope", "orders:manage")
        client_id, secret = (line.split()[1] for line in made.splitlines())

        listed = operate(stack, "clients", "list", "--json")

        assert {"client_id": client_id, "name": name, "scopes": ["orders:manage"]}.items() <= next(
            each for each in json.loads(listed) if each["client_id"] == client_id
        ).items()
        assert secret not in listed
        assert operate(stack, "clients", "remove", client_id) == ""

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            (("users", "disable", "nobody-at-all"), "no such user"),
            (("clients", "remove", "nobody"), "no such client"),
            (("clients", "add", "partner-x", "--scope", "everything"), "no such scope"),
        ],
        ids=["user", "client", "scope"],
    )
    def test_what_cannot_be_done_is_said_in_a_sentence(self, stack, arguments, sentence):
        with pytest.raises(StackFault, match=sentence):
            operate(stack, *arguments)

    def test_every_key_is_shown_with_what_becomes_of_it(self, stack):
        shown = operate(stack, "keys", "list")

        assert {"current", "next"} <= set(shown.split())


class TestKeys:
    def keys(self, stack, *arguments):
        return {key["state"]: key["kid"] for key in json.loads(operate(stack, "keys", *arguments, "--json"))}

    def test_while_keys_are_rotated_under_load_not_one_good_token_is_refused(self, stack, user):
        before, stop = self.keys(stack, "list")["current"], Event()

        def shop(_):
            pair, statuses = logged_in(stack, user), []
            with Client(stack) as client:
                while not stop.is_set():
                    bearer = {"Authorization": f"Bearer {pair['access']}"}
                    statuses.append(client.get("/api/users/me", headers=bearer).status_code)
                    answer = client.post("/api/token/refresh", json={"refresh": pair["refresh"]})
                    statuses.append(answer.status_code)
                    pair = answer.json() if answer.status_code == 200 else pair
            return statuses, jwt.get_unverified_header(pair["access"])["kid"]

        old = logged_in(stack, user)["access"]
        with ThreadPoolExecutor(3) as pool:
            try:
                shoppers = [pool.submit(shop, number) for number in range(3)]
                for _ in range(2):
                    standing = self.keys(stack, "list")["current"]
                    eventually(lambda: self.keys(stack, "rotate")["current"] != standing, what="rotation")  # noqa: B023
            finally:
                stop.set()
            results = [each.result() for each in shoppers]

        assert {status for statuses, _ in results for status in statuses} <= {200, 503, 504}, "a good token was refused"
        assert all(statuses.count(200) > 10 for statuses, _ in results)
        assert before not in {kid for _, kid in results}
        assert not is_refused(stack, old)

    def test_what_compromised_keys_signed_is_refused_at_once_and_everybody_goes_on_with_a_refresh(self, stack, user):
        pair = logged_in(stack, user)
        former = self.keys(stack, "list").values()

        now = self.keys(stack, "rotate", "--compromised")

        assert not set(former) & set(now.values())
        assert is_refused_soon(stack, pair["access"])
        with Client(stack) as client:
            refreshed = settled(lambda: client.post("/api/token/refresh", json={"refresh": pair["refresh"]})).json()
        eventually(lambda: not is_refused(stack, refreshed["access"]), within=AT_ONCE, what="the new keys everywhere")


def user_login(user):
    return {"username": user["username"], "password": user["password"]}
