"""TLS from pasted certificates. What a server's end demands, two ends in memory show."""

import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from devtools.servers.tls import Identity, issue, terminator
from source_prefect.settings.tls import TlsSettings

HOST = "127.0.0.1"
CA = issue("Company CA")
OTHER_CA = issue("Other CA")
SERVER = issue("prefect", CA, HOST)
CLIENT = issue("airbyte", CA)


def connect(settings: TlsSettings, server: ssl.SSLContext, host: str = HOST) -> None:
    """Raises ssl.SSLError where one of the two ends refuses the other."""
    context = settings.context()
    assert context
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_end = context.wrap_bio(to_client, to_server, server_hostname=host)
    server_end = server.wrap_bio(to_server, to_client, server_side=True)
    for end in (client_end, server_end, client_end, server_end):
        with suppress(ssl.SSLWantReadError):
            end.do_handshake()
    assert client_end.version()


@pytest.fixture
def server(tmp_path: Path) -> ssl.SSLContext:
    return terminator(tmp_path, SERVER)


@pytest.fixture
def server_for_clients(tmp_path: Path) -> ssl.SSLContext:
    """It lets only those in whom the company's CA has given a certificate."""
    return terminator(tmp_path, SERVER, clients_of=CA)


def test_where_nothing_is_set_tls_is_the_usual_one() -> None:
    assert TlsSettings().context() is None
    assert TlsSettings().of_other_peers() is None


@pytest.mark.parametrize(
    "pasted",
    [
        CA.pem,
        CA.pem.replace("\n", " "),
        CA.pem.replace("\n", "\\n"),
        CA.pem.replace("\n", "\r\n\t"),
        OTHER_CA.pem + CA.pem,
        CA.pem + OTHER_CA.pem,
        f"The company's CA:\n{CA.pem}\nfor all",
    ],
)
def test_a_ca_is_trusted_whatever_a_form_did_to_it(server: ssl.SSLContext, pasted: str) -> None:
    connect(TlsSettings(ca_certificate=pasted), server)


@pytest.mark.parametrize("settings", [TlsSettings(OTHER_CA.pem), TlsSettings(OTHER_CA.pem, CLIENT.pem, CLIENT.key_pem)])
def test_no_other_ca_is_trusted(server: ssl.SSLContext, settings: TlsSettings) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        connect(settings, server)


def test_a_certificate_is_for_one_host(server: ssl.SSLContext) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for '10\.1\.2\.3'"):
        connect(TlsSettings(CA.pem), server, "10.1.2.3")


def test_without_verification_any_certificate_for_any_host_will_do(server: ssl.SSLContext) -> None:
    connect(TlsSettings(verify=False), server, "10.1.2.3")
    connect(TlsSettings(OTHER_CA.pem, verify=False), server)


def test_all_is_checked_that_python_checks_but_what_few_private_cas_meet() -> None:
    context = TlsSettings(CA.pem).context()
    assert context
    assert context.verify_flags == ssl.create_default_context().verify_flags & ~ssl.VERIFY_X509_STRICT
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_a_client_certificate_is_presented(server_for_clients: ssl.SSLContext) -> None:
    connect(TlsSettings(CA.pem, CLIENT.pem, CLIENT.key_pem), server_for_clients)
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        connect(TlsSettings(CA.pem), server_for_clients)


def test_a_certificate_and_a_key_may_be_pasted_together(server_for_clients: ssl.SSLContext) -> None:
    both = CLIENT.key_pem + CLIENT.pem
    connect(TlsSettings(CA.pem, both, both), server_for_clients)


def test_an_identity_provider_is_trusted_by_the_companys_ca_and_by_the_public_ones() -> None:
    context = TlsSettings(CA.pem, CLIENT.pem, CLIENT.key_pem, verify=False).of_other_peers()
    assert context
    assert context.verify_mode is ssl.CERT_REQUIRED
    subjects = [str(each["subject"]) for each in context.get_ca_certs()]
    assert any("Company CA" in subject for subject in subjects)
    assert len(subjects) > 50


def encrypted(identity: Identity, form: serialization.PrivateFormat) -> str:
    """Its key, as it must not be pasted. The two forms write the word in different places."""
    password = serialization.BestAvailableEncryption(b"secret")
    return identity.key.private_bytes(serialization.Encoding.PEM, form, password).decode()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (TlsSettings("MIIB"), "ca_certificate: It holds no PEM block. It should begin with -----BEGIN CERTIFICATE"),
        (TlsSettings(CLIENT.key_pem), "ca_certificate: It holds no PEM block."),
        (TlsSettings(CA.pem.replace("MII", "XXX")), "ca_certificate: It holds no certificate that can be read."),
        (TlsSettings("", CLIENT.pem), "client_key: It holds no PEM block. It should begin with -----BEGIN PRIVATE KEY"),
        (TlsSettings("", "", CLIENT.key_pem), "client_certificate: It holds no PEM block."),
        (TlsSettings("", CLIENT.pem, CA.key_pem), "client_key: It does not belong to client_certificate"),
        (
            TlsSettings("", CLIENT.pem, encrypted(CLIENT, serialization.PrivateFormat.PKCS8)),
            "client_key: It is encrypted with a passphrase.",
        ),
        (
            TlsSettings("", CLIENT.pem, encrypted(CLIENT, serialization.PrivateFormat.TraditionalOpenSSL)),
            "client_key: It is encrypted with a passphrase.",
        ),
    ],
)
def test_what_was_pasted_wrongly_is_named(settings: TlsSettings, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{sentence}"):
        settings.context()
