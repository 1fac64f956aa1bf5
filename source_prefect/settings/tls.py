"""TLS from pasted certificates: a private CA, a client certificate, or no verification at all."""

import re
import ssl
import tempfile
import textwrap
from typing import NamedTuple

from requests.utils import DEFAULT_CA_BUNDLE_PATH

_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)


class TlsSettings(NamedTuple):
    """The TLS part of a server's connection. By default, TLS is that of `requests`."""

    ca_certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    verify: bool = True

    def context(self) -> ssl.SSLContext | None:
        """The context for the connections; None where nothing is set, so that the usual defaults
        apply.

        Raises ValueError: the field's name, and what is wrong with it.
        """
        if self == TlsSettings():
            return None
        authorities = _pem("ca_certificate", self.ca_certificate, "CERTIFICATE") if self.ca_certificate else None
        try:
            context = ssl.create_default_context(cadata=authorities)
        except ssl.SSLError:
            raise ValueError("ca_certificate: It holds no certificate that can be read.") from None
        # Few private CAs meet RFC 5280 in full; Python 3.13 would refuse the others.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_certificate or self.client_key:
            certificate = _pem("client_certificate", self.client_certificate, "CERTIFICATE")
            _load(context, certificate + _pem("client_key", self.client_key, "PRIVATE KEY"))
        return context

    def of_other_peers(self) -> ssl.SSLContext | None:
        """The context for an identity provider: `ca_certificate` and the public CAs are trusted.

        None without `ca_certificate`.
        """
        context = TlsSettings(self.ca_certificate).context()
        if context:
            context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        return context


def _load(context: ssl.SSLContext, certificate_and_key: str) -> None:
    # OpenSSL reads them from a file only. Only this user can read this one, and it is deleted
    # after the block.
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(certificate_and_key)
        file.flush()
        try:
            # Without a password, OpenSSL would ask the terminal for that of an encrypted key.
            context.load_cert_chain(file.name, password="")
        except ssl.SSLError:
            sentence = "client_key: It does not belong to client_certificate, or one of them cannot be read."
            raise ValueError(sentence) from None


def _pem(field: str, text: str, kind: str) -> str:
    """The PEM blocks of a pasted text, whatever a form did to its line breaks.

    Raises ValueError where there is none of this kind.
    """
    blocks = [(label, body) for label, body in _PEM_BLOCK.findall(text.replace("\\n", "\n")) if label.endswith(kind)]
    if not blocks:
        expected = f"It should begin with -----BEGIN {kind}----- and end with -----END {kind}-----."
        raise ValueError(f"{field}: It holds no PEM block. {expected}")
    if any("ENCRYPTED" in label + body for label, body in blocks):
        raise ValueError(f"{field}: It is encrypted with a passphrase. Paste it without (openssl pkey -in key.pem).")
    lines = ((label, textwrap.fill("".join(body.split()), 64)) for label, body in blocks)
    return "".join(f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n" for label, body in lines)
