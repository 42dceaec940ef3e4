"""Who this device is: an Ed25519 key in a file, the certificate that shows it, and TLS with one hub."""

import datetime
import hashlib
import os
import pathlib
import socket
import ssl

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key)

ALPN = "towline/1"
HANDSHAKE_SECONDS = 10
# Years in which no machine's clock stands, however wrong: a Towline peer looks at the key alone.
NOT_BEFORE, NOT_AFTER = datetime.datetime(1975, 1, 1), datetime.datetime(4096, 1, 1)


class WrongKey(Exception):
    """Who answered does not hold the key that was given. Not one byte was said to it."""


class Identity:
    """The key in `folder`, made on first use, readable for its owner only."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.file = folder / "device.pem"
        if not self.file.exists():
            make_key_file(self.file)
        self.private = load_pem_private_key(self.file.read_bytes(), None)
        self.public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, data):
        return self.private.sign(data)

    def connect(self, host, port, hub):
        """A TLS connection to the hub whose key has the hash `hub`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([ALPN])
        context.load_cert_chain(self.file)
        # Names, dates and issuers mean nothing here. That the peer holds its certificate's key is checked by TLS 1.3
        # itself; whether it is the right key is checked below, before anything is said.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection((host, port), timeout=HANDSHAKE_SECONDS)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = context.wrap_socket(plain)
        except Exception:
            plain.close()
            raise
        shown = x509.load_der_x509_certificate(link.getpeercert(binary_form=True)).public_key()
        if key_hash_of_spki(shown.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)) != hub:
            link.close()
            raise WrongKey("the hub showed another key than the one it was given out with")
        if link.selected_alpn_protocol() != ALPN:
            link.close()
            raise ssl.SSLError("the peer did not agree to speak towline/1")
        return link


def make_key_file(path):
    """A new key and its self-signed certificate, both in one PEM file that appears whole."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "towline")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(NOT_BEFORE).not_valid_after(NOT_AFTER)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem += builder.sign(key, None).public_bytes(Encoding.PEM)
    draft = path.with_suffix(".new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def key_hash_of_spki(spki):
    return hashlib.sha256(spki).digest()


def key_hash(public):
    """The name of a key: SHA-256 over its SubjectPublicKeyInfo."""
    key = Ed25519PublicKey.from_public_bytes(public)
    return key_hash_of_spki(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def verify(public, data, signature):
    """Whether the holder of `public` signed `data`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
        return True
    except (InvalidSignature, ValueError):
        return False
