"""TLS of one's own: a private CA, client certificates, and what is said when they are wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from devtools.connector import read, read_here
from devtools.servers.prefect import PrefectServer
from devtools.servers.proxy import Proxy, proxy
from devtools.servers.tls import Identity, issue, terminator
from integration_tests.connecting import assert_config_error, check, config

CA = issue("Company CA")
OTHER_CA = issue("Other CA")
CLIENT = issue("airbyte", CA)


@pytest.fixture(scope="module")
def flow_ids(server: PrefectServer) -> set[str]:
    return {server.post("flows/", {"name": f"flow-{n}"})["id"] for n in range(3)}


@pytest.fixture
def https(server: PrefectServer, tmp_path: Path) -> Iterator[Proxy]:
    """The server, behind a certificate of the company's CA."""
    with proxy(server.url, tls=terminator(tmp_path, issue("prefect", CA, "127.0.0.1"))) as front:
        yield front


@pytest.fixture
def https_for_clients(server: PrefectServer, tmp_path: Path) -> Iterator[Proxy]:
    """The same, and it lets only those in whom the company's CA has given a certificate."""
    tls = terminator(tmp_path, issue("prefect", CA, "127.0.0.1"), clients_of=CA)
    with proxy(server.url, tls=tls) as front:
        yield front


def test_the_right_ca_is_trusted(https: Proxy, flow_ids: set[str]) -> None:
    settings = config(https, ca_certificate=CA.pem)
    assert check(settings) == ""
    assert set(read_here(settings, ["flows"]).ok().ids("flows")) == flow_ids


def test_a_ca_that_a_form_put_on_one_line_is_trusted(https: Proxy, flow_ids: set[str]) -> None:
    settings = config(https, ca_certificate=CA.pem.replace("\n", " "))
    assert set(read_here(settings, ["flows"]).ok().ids("flows")) == flow_ids


@pytest.mark.parametrize("authorities", [{}, {"ca_certificate": OTHER_CA.pem}], ids=["no CA", "another CA"])
def test_an_unknown_ca_is_a_config_error(https: Proxy, authorities: dict[str, str]) -> None:
    settings = config(https, **authorities)
    message = check(settings)
    assert "certificate verify failed" in message
    assert "A private CA belongs in ca_certificate" in message

    assert_config_error(read_here(settings, ["flows"]), "certificate verify failed")
    assert https.log == []


def test_a_certificate_for_another_host_is_a_config_error(server: PrefectServer, tmp_path: Path) -> None:
    with proxy(server.url, tls=terminator(tmp_path, issue("prefect", CA, "10.1.2.3"))) as front:
        message = check(config(front, ca_certificate=CA.pem))
    assert "10.1.2.3" in message or "127.0.0.1" in message
    assert front.log == []


def test_verification_can_be_turned_off_and_the_log_says_so_once(https: Proxy, flow_ids: set[str]) -> None:
    sync = read(config(https, verify_tls=False), ["flows", "deployments", "variables"]).ok()
    assert set(sync.ids("flows")) == flow_ids
    assert [line[:27] for line in sync.logs if "verify_tls" in line] == ["TLS verification is OFF (ve"]


def test_a_client_certificate_is_presented(https_for_clients: Proxy, flow_ids: set[str]) -> None:
    settings = config(
        https_for_clients, ca_certificate=CA.pem, client_certificate=CLIENT.pem, client_key=CLIENT.key_pem
    )
    assert check(settings) == ""
    sync = read_here(settings, ["flows"]).ok()
    assert set(sync.ids("flows")) == flow_ids
    key_line = CLIENT.key_pem.splitlines()[1]
    assert not any(key_line in line for line in [*sync.logs, sync.stderr])


@pytest.mark.parametrize("identity", [None, issue("stranger", OTHER_CA)], ids=["none", "of another CA"])
def test_without_the_client_certificate_it_is_a_config_error(
    https_for_clients: Proxy, identity: Identity | None
) -> None:
    presented = {"client_certificate": identity.pem, "client_key": identity.key_pem} if identity else {}
    settings = config(https_for_clients, ca_certificate=CA.pem, **presented)
    message = check(settings)
    assert "needs client_certificate and client_key" in message
    assert_config_error(read_here(settings, ["flows"]), "needs client_certificate and client_key")
    assert https_for_clients.log == []


@pytest.mark.parametrize(
    ("connection", "sentence"),
    [
        ({"ca_certificate": "MIIB"}, "connection.ca_certificate: It holds no PEM block."),
        (
            {"ca_certificate": CA.pem.replace("MII", "XXX")},
            "connection.ca_certificate: It holds no certificate that can be read.",
        ),
        ({"client_certificate": CLIENT.pem}, "connection.client_key: It holds no PEM block."),
        (
            {"client_certificate": CLIENT.pem, "client_key": CA.key_pem},
            "connection.client_key: It does not belong to client_certificate, or one of them cannot be read.",
        ),
        (
            {
                "client_certificate": CLIENT.pem,
                "client_key": CLIENT.key.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.BestAvailableEncryption(b"secret"),
                ).decode(),
            },
            "connection.client_key: It is encrypted with a passphrase.",
        ),
    ],
    ids=["no PEM", "broken PEM", "no key", "key of another", "encrypted key"],
)
def test_what_was_pasted_wrongly_is_named(https: Proxy, connection: dict[str, str], sentence: str) -> None:
    assert sentence in check(config(https, **connection))
    assert https.log == []
