import smtplib
import socket

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from rpc_services.notification.domain import Letter
from rpc_services.notification.mailer import SmtpMailer, connect
from rpc_services.notification.settings import MailServer
from rpc_services.notification.use_cases import NotNow, Undeliverable
from tests.builders.servers import free_port
from tests.fakes.notification import a_delivery


class Mailbox:
    """Refuses who is unwelcome, in the way their name says."""

    def __init__(self):
        self.messages = []
        self.before_data = []
        self.greeting = None

    async def handle_HELO(self, _server, session, _envelope, name):  # noqa: N802 - aiosmtpd calls it so
        session.host_name = name
        return self.greeting or "250 mailbox"

    async def handle_EHLO(self, _server, session, _envelope, name, responses):  # noqa: N802 - aiosmtpd calls it so
        session.host_name = name
        return [self.greeting] if self.greeting else responses

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - aiosmtpd calls it so
        if address.startswith("never"):
            return "550 no such mailbox"
        if address.startswith("later"):
            return "451 try again"
        if address.startswith("busy"):
            return "421 too many letters"
        if address.startswith("puzzled"):
            return "503 what was that?"
        if address.startswith("odd"):
            return "501 5.1.3 bad recipient address syntax"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd calls it so
        if b"unspeakable" in envelope.content:
            return "554 refused"
        self.messages.append((envelope.rcpt_tos, envelope.content.decode()))
        return "250 OK"


class Deferring(SMTP):
    """Puts a letter off as Postfix's policies do: before its text, with the transaction left open."""

    async def smtp_DATA(self, arg):  # noqa: N802 - aiosmtpd calls it so
        if self.event_handler.before_data:
            await self.push(self.event_handler.before_data.pop())
        else:
            await super().smtp_DATA(arg)


class Office(Controller):
    def factory(self):
        return Deferring(self.handler, **self.SMTP_kwargs)


@pytest.fixture
def mailbox():
    return Mailbox()


@pytest.fixture
def server(mailbox):
    controller = Office(mailbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield MailServer(host="127.0.0.1", port=controller.port)
    controller.stop()


@pytest.fixture
def mailer(server):
    mailer = SmtpMailer(server, "shop@kirana.localhost", connect)
    yield mailer
    mailer.close()


def test_the_message_arrives_with_its_headers_and_its_text(mailer, mailbox):
    delivery = a_delivery()

    mailer.send(delivery)

    ((recipients, content),) = mailbox.messages
    assert recipients == ["anna@example.com"]
    for header in (f"Message-ID: {delivery.message_id}", "Subject: Order 1 confirmed", "To: anna@example.com"):
        assert header in content
    assert "Thank you." in content


def test_many_messages_go_over_one_connection_even_after_a_refusal(server, mailbox):
    opened = []

    def counted(server):
        opened.append(server)
        return connect(server)

    mailer = SmtpMailer(server, "shop@kirana.localhost", counted)
    mailer.send(a_delivery())
    with pytest.raises(Undeliverable):
        mailer.send(a_delivery(address="never@example.com"))
    mailer.send(a_delivery())
    mailer.close()

    assert (len(mailbox.messages), len(opened)) == (2, 1)


@pytest.mark.parametrize(
    "address", ["never@example.com", "odd@example.com", "a,b@example.com", "no address", "änna@example.com"]
)
def test_an_address_that_is_none_is_refused_for_good(mailer, address):
    with pytest.raises(Undeliverable):
        mailer.send(a_delivery(address=address))


@pytest.mark.parametrize(
    ("address", "written"),
    [("anna@exämple.com", "anna@xn--exmple-cua.com"), ("anna@straße.de", "anna@xn--strae-oqa.de")],
)
def test_a_domain_beyond_ascii_is_written_as_idna(mailer, mailbox, address, written):
    mailer.send(a_delivery(address=address))

    assert mailbox.messages[0][0] == [written]


def test_a_server_that_wants_us_later_is_tried_later(mailer):
    with pytest.raises(NotNow) as fault:
        mailer.send(a_delivery(address="later@example.com"))

    assert "later@" not in str(fault.value)


def test_a_server_that_is_away_is_tried_later():
    mailer = SmtpMailer(MailServer(host="127.0.0.1", port=free_port()), "shop@kirana.localhost", connect)

    with pytest.raises(NotNow):
        mailer.send(a_delivery())


def test_a_connection_that_breaks_is_opened_anew(mailer, mailbox):
    mailer.send(a_delivery())
    mailer._connection.sock.shutdown(socket.SHUT_RDWR)

    with pytest.raises(NotNow):
        mailer.send(a_delivery())
    mailer.send(a_delivery())

    assert len(mailbox.messages) == 2


@pytest.mark.parametrize(
    ("answer", "fault"),
    [("450 4.7.1 try again later", NotNow), ("550 5.7.1 refused", Undeliverable), ("503 no command", NotNow)],
)
def test_a_letter_whose_text_is_not_wanted_does_not_hurt_the_next(mailer, mailbox, answer, fault):
    mailbox.before_data.append(answer)
    with pytest.raises(fault):
        mailer.send(a_delivery())

    mailer.send(a_delivery(address="berta@example.com"))

    assert [recipients for recipients, _ in mailbox.messages] == [["berta@example.com"]]


def test_a_letter_whose_text_is_refused_does_not_hurt_the_next(mailer, mailbox):
    with pytest.raises(Undeliverable):
        mailer.send(a_delivery(letter=Letter(subject="Order 1 confirmed", text="unspeakable")))

    mailer.send(a_delivery())

    assert len(mailbox.messages) == 1


def test_a_server_that_hangs_up_over_one_letter_is_called_again_for_the_next(mailer, mailbox):
    with pytest.raises(NotNow):
        mailer.send(a_delivery(address="busy@example.com"))

    mailer.send(a_delivery())

    assert len(mailbox.messages) == 1


def test_a_server_that_does_not_follow_is_no_verdict_on_the_letter(mailer):
    with pytest.raises(NotNow):
        mailer.send(a_delivery(address="puzzled@example.com"))


def test_a_server_that_does_not_want_to_meet_us_has_not_seen_the_letter(mailer, mailbox):
    mailbox.greeting = "554 not you"

    with pytest.raises(NotNow):
        mailer.send(a_delivery())


def test_our_own_failed_login_is_not_the_messages_fault(server):
    def refused(_):
        raise smtplib.SMTPAuthenticationError(535, b"no")

    with pytest.raises(NotNow):
        SmtpMailer(server, "shop@kirana.localhost", refused).send(a_delivery())
