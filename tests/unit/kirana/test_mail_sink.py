import asyncio
import smtplib
from email.message import EmailMessage

import pytest

from kirana.mail_sink import Mailbox, SinkSettings, as_mail, read_settings, serve
from shared.settings.reader import BadSettings
from tests.builders.servers import free_port
from tests.builders.waiting import eventually


def a_mail(message_id="<1@kirana>", to="ada@example.com"):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"], mail["Message-ID"] = "shop@kirana.localhost", to, "Grüße", message_id
    mail.set_content("Danke für die Bestellung\n")
    return mail


def kept(**changes):
    base = {"from": "s@x", "to": "a@x", "subject": "s", "text": "t", "message_id": "<1@x>", "received_at": "2026"}
    return {**base, **changes}


def test_a_mail_with_a_known_message_id_is_dropped(tmp_path):
    mailbox = Mailbox(tmp_path)

    answers = [mailbox.keep(kept()), mailbox.keep(kept()), Mailbox(tmp_path).keep(kept())]

    assert answers == [True, False, False]
    assert mailbox.duplicates == 1
    assert len(mailbox.mails()) == 1


def test_the_same_message_to_another_recipient_is_another_mail(tmp_path):
    mailbox = Mailbox(tmp_path)

    assert mailbox.keep(kept())
    assert mailbox.keep(kept(to="b@x"))


def test_mails_are_read_in_the_order_of_arrival_and_drafts_are_not_read(tmp_path):
    mailbox = Mailbox(tmp_path)
    mailbox.keep(kept(message_id="<2@x>", received_at="2026-02"))
    mailbox.keep(kept(message_id="<1@x>", received_at="2026-01"))
    (tmp_path / ".draft").write_text("half a ma")

    assert [mail["message_id"] for mail in mailbox.mails()] == ["<1@x>", "<2@x>"]


def test_a_mail_is_read_in_plain_words():
    mail = as_mail(bytes(a_mail()), "shop@kirana.localhost", ["ada@example.com"])

    assert mail["subject"] == "Grüße"
    assert mail["text"].strip() == "Danke für die Bestellung"
    assert mail["to"] == "ada@example.com"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"Content-Type: text/plain; charset=nonsense\n\nhi", None])
def test_a_broken_mail_is_kept_all_the_same(content):
    assert as_mail(content, "", ["a@x"])["message_id"]


def test_settings_name_every_fault():
    with pytest.raises(BadSettings) as failed:
        read_settings({"KIRANA_SMTP_URL": "http://nowhere"})

    assert len(failed.value.faults) == 2


def test_a_mail_sent_twice_over_smtp_arrives_once(tmp_path):
    port = free_port()
    settings = SinkSettings("127.0.0.1", port, tmp_path, "mail-1", "local", "info", None)

    async def scenario():
        stop = asyncio.Event()
        server = asyncio.create_task(serve(settings, stop))
        await asyncio.to_thread(send_twice, port)
        stop.set()
        await server

    asyncio.run(scenario())

    assert [mail["to"] for mail in Mailbox(tmp_path).mails()] == ["ada@example.com"]


def send_twice(port):
    with eventually(lambda: smtplib.SMTP("127.0.0.1", port, timeout=10), despite=ConnectionRefusedError) as client:
        client.send_message(a_mail())
        client.send_message(a_mail())
