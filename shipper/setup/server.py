"""Speaks JSON with one server, waits until it is ready, and says in plain words what it minds."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from shipper.setup.faults import NotAllowed, NotReady, NotTaken, SetupFault

REQUEST_SECONDS = 60.0
LOOK_SECONDS = 1.0
LONGEST_ANSWER = 600
PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""What a server that starts, or one in front of it, answers for a while."""


class Server:
    """One server; ``identity`` is a user and a password, or ``None`` for nobody."""

    def __init__(
        self,
        name: str,
        url: str,
        *,
        identity: tuple[str, str] | None = None,
        authority: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.url = url
        verify: ssl.SSLContext | bool = ssl.create_default_context(cafile=authority) if authority else True
        self._client = httpx.Client(
            base_url=url, auth=identity, verify=verify, headers=headers, timeout=REQUEST_SECONDS, trust_env=False
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """The answer's JSON; ``None`` when there is no such thing. Raises :class:`SetupFault`."""
        answer = self._send(method, path, body, **options)
        if answer.status_code == httpx.codes.NOT_FOUND and method == "GET":
            return None
        self._see(answer, f"{method} {path}")
        return _json(answer) if answer.content else None

    def knows(self, identity: tuple[str, str]) -> Any:
        """What the server says of a user of this name and password; ``None`` when it does not know it."""
        answer = self._send("GET", "/_security/_authenticate", auth=identity)
        return _json(answer) if answer.is_success else None

    def wait(self, path: str, is_ready: Callable[[Any], bool], *, patience: float) -> None:
        """Ask until the answer is as wanted. Raises :class:`NotReady`, or at once what waiting cannot mend."""
        give_up_at = time.monotonic() + patience
        while True:
            try:
                answer = self._send("GET", path)
                if answer.status_code not in PASSING:
                    self._see(answer, f"GET {path}")
                    if is_ready(_json(answer)):
                        return
                seen = f"answered {answer.status_code}: {answer.text[:LONGEST_ANSWER]}"
            except NotReady as absent:
                seen = str(absent)
            if time.monotonic() >= give_up_at:
                raise NotReady(
                    f"{self.name} at {self.url} is not ready after {patience:.0f} s: {seen}",
                    mend=f"see that it runs and that {self.url} is its address, then do this again",
                )
            time.sleep(LOOK_SECONDS)

    def _send(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        if body is not None:
            options["json"] = body
        try:
            return self._client.request(method, path, **options)
        except httpx.ConnectError as fault:
            if "CERTIFICATE_VERIFY_FAILED" in str(fault):
                raise SetupFault(
                    f"{self.name} at {self.url} has a certificate that we do not trust: {fault}",
                    mend="name the file of its authority in KIRANA_ELASTICSEARCH_CA",
                ) from None
            raise NotReady(f"{self.name} at {self.url} cannot be reached: {fault}") from None
        except httpx.TransportError as fault:
            raise NotReady(f"{self.name} at {self.url} broke off: {type(fault).__name__}: {fault}") from None

    def _see(self, answer: httpx.Response, what: str) -> None:
        if answer.status_code in {401, 403}:
            raise NotAllowed(
                f"{self.name} answered {answer.status_code} to {what}: {answer.text[:LONGEST_ANSWER]}",
                mend="set KIRANA_ELASTICSEARCH_ADMIN_PASSWORD_FILE to the file with the password of its administrator",
            )
        if not answer.is_success:
            raise NotTaken(f"{self.name} answered {answer.status_code} to {what}: {answer.text[:LONGEST_ANSWER]}")


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise NotTaken(
            f"{answer.request.url} answered something that is no JSON: {answer.text[:LONGEST_ANSWER]!r}",
            mend="see that this is the address of the server itself",
        ) from None
