import pytest

from rpc_services.notification.settings import MailServer, mail_server, read_settings
from shared.settings.reader import BadSettings


def test_a_mail_server_is_read_from_its_url():
    assert mail_server("smtp://127.0.0.1:2525") == MailServer(host="127.0.0.1", port=2525)
    assert mail_server("smtps://shop:p%40ss@mail.example.com") == MailServer(
        host="mail.example.com", port=465, is_encrypted=True, username="shop", password="p@ss"
    )


def test_the_servers_password_is_not_printed():
    assert "p@ss" not in repr(mail_server("smtps://shop:p%40ss@mail.example.com"))


def test_it_has_five_seconds_for_an_answer_unless_it_is_known_to_be_slower():
    reached = {"KIRANA_SMTP_URL": "smtp://mail:2525"}

    assert read_settings(reached).mail_server.answer_seconds == 5
    assert read_settings(reached | {"KIRANA_SMTP_TIMEOUT": "30"}).mail_server.answer_seconds == 30
    with pytest.raises(BadSettings, match="KIRANA_SMTP_TIMEOUT"):
        read_settings(reached | {"KIRANA_SMTP_TIMEOUT": "0"})


@pytest.mark.parametrize("url", ["http://mail", "smtp://", "mail:25", "smtp://mail:port"])
def test_what_is_no_mail_server_does_not_start(url):
    with pytest.raises(BadSettings):
        read_settings({"KIRANA_SMTP_URL": url})
