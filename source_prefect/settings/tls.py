"""TLS from pasted certificates: a private CA, a client certificate, or no verification at all."""

import re
import ssl
import tempfile
import textwrap
from typing import NamedTuple

_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)


class TlsSettings(NamedTuple):
    """The TLS part of a server's connection. By default, TLS is that of `requests`."""

    ca_certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    verify: bool = True

    def context(self) -> ssl.SSLContext | None:
        """The context for the connections; None where nothing is set, so that the usual defaults apply.

        Raises ValueError: the field's name, and what is wrong with it.
        """
        if self == TlsSettings():
            return None
        context = ssl.create_default_context(cadata=self._authorities())
        # Few private CAs meet RFC 5280 in full; Python 3.13 would refuse the others.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.client_certificate or self.client_key:
            self._load_client_certificate(context)
        return context

    def _authorities(self) -> str | None:
        if not self.ca_certificate:
            return None
        authorities = _pem("ca_certificate", self.ca_certificate, "CERTIFICATE")
        try:
            ssl.create_default_context(cadata=authorities)
        except ssl.SSLError:
            raise ValueError("ca_certificate: It holds no certificate that can be read.") from None
        return authorities

    def _load_client_certificate(self, context: ssl.SSLContext) -> None:
        certificate = _pem("client_certificate", self.client_certificate, "CERTIFICATE")
        key = _pem("client_key", self.client_key, "PRIVATE KEY")
        # OpenSSL reads them from a file only. Only this user can read this one, and it is deleted after the block.
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(certificate + key)
            file.flush()
            try:
                # Without a password, OpenSSL would ask the terminal for that of an encrypted key.
                context.load_cert_chain(file.name, password="")
            except ssl.SSLError:
                raise ValueError(
                    "client_key: It does not belong to client_certificate, or one of them cannot be read."
                ) from None


def _pem(field: str, text: str, kind: str) -> str:
    """The PEM blocks of a pasted text, whatever a form did to its line breaks.

    Raises ValueError where there is none of this kind.
    """
    blocks = [(label, body) for label, body in _PEM_BLOCK.findall(text.replace("\\n", "\n")) if label.endswith(kind)]
    if not blocks:
        raise ValueError(
            f"{field}: It holds no PEM block. It should begin with -----BEGIN {kind}----- and end with "
            f"-----END {kind}-----."
        )
    if any(label.startswith("ENCRYPTED") or "ENCRYPTED" in body for label, body in blocks):
        raise ValueError(f"{field}: It is encrypted with a passphrase. Paste it without (openssl pkey -in key.pem).")
    return "".join(
        f"-----BEGIN {label}-----\n{textwrap.fill(''.join(body.split()), 64)}\n-----END {label}-----\n"
        for label, body in blocks
    )
