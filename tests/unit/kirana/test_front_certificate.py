"""The certificate of nginx: drawn once, and never in the way of a real one."""

import ssl

import pytest
from cryptography import x509

from kirana.front_certificate import CERTIFICATE, KEY, LASTS, ensure


def write(folder, drawn):
    for name, text in drawn.items():
        (folder / name).write_text(text)


def test_the_pair_belongs_together_and_is_for_this_machine(tmp_path):
    write(tmp_path, ensure(tmp_path))

    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / CERTIFICATE, tmp_path / KEY)
    certificate = x509.load_pem_x509_certificate((tmp_path / CERTIFICATE).read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc == LASTS


def test_a_pair_that_somebody_put_there_stays(tmp_path):
    theirs = {CERTIFICATE: "their certificate", KEY: "their key"}
    write(tmp_path, theirs)

    assert ensure(tmp_path) == theirs


@pytest.mark.parametrize("left", [CERTIFICATE, KEY])
def test_half_a_pair_is_of_no_use_and_drawn_anew(tmp_path, left):
    write(tmp_path, {left: "alone"})

    assert "alone" not in ensure(tmp_path).values()
