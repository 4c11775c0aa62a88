"""Draws the certificate that nginx shows on this machine, until one that browsers trust is put in its place."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CERTIFICATE, KEY = "tls_certificate.pem", "tls_key.pem"
LASTS = timedelta(days=397)
"""No longer than browsers take: CA/Browser Forum Baseline Requirements, 6.3.2."""
EARLY = timedelta(hours=1)
"""Clocks of containers and their users differ."""


def ensure(folder: Path) -> dict[str, str]:
    """Certificate and key as PEM by file name: what lies in ``folder`` if both do, else a new pair for localhost.

    Only a pair is of use, so a file without the other one is replaced.
    """
    paths = {name: folder / name for name in (CERTIFICATE, KEY)}
    if all(path.exists() for path in paths.values()):
        return {name: path.read_text(encoding="ascii") for name, path in paths.items()}
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    certificate = _self_signed(key).public_bytes(serialization.Encoding.PEM)
    return {CERTIFICATE: certificate.decode(), KEY: private.decode()}


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    loopback = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLY)
        .not_valid_after(now - EARLY + LASTS)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), *loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
