"""Every form of address that a person would paste: corrected where it is clear, else refused."""

import re

import pytest

from source_prefect.settings.address import (
    cloud_api_url,
    cloud_ui_url,
    is_local,
    server_api_url,
    server_ui_url,
    workspace_api_url,
    workspaces_in,
)

ACCOUNT = "01234567-89ab-cdef-0123-456789abcdef"
WORKSPACE = "89abcdef-0123-4567-89ab-cdef01234567"
CLOUD = f"https://api.prefect.cloud/api/accounts/{ACCOUNT}/workspaces/{WORKSPACE}"


@pytest.mark.parametrize(
    ("pasted", "api"),
    [
        # As documented
        ("http://localhost:4200/api", "http://localhost:4200/api"),
        ("https://prefect.example.com/api", "https://prefect.example.com/api"),
        # Without /api, with slashes and blanks, with quotes around it
        ("http://localhost:4200", "http://localhost:4200/api"),
        ("http://localhost:4200/", "http://localhost:4200/api"),
        ("http://localhost:4200/api/", "http://localhost:4200/api"),
        ("http://localhost:4200//api//", "http://localhost:4200/api"),
        ("  http://localhost:4200/api\n", "http://localhost:4200/api"),
        ('"http://localhost:4200/api"', "http://localhost:4200/api"),
        ("<http://localhost:4200>", "http://localhost:4200/api"),
        # /api twice, in capitals
        ("http://localhost:4200/api/api", "http://localhost:4200/api"),
        ("HTTP://LocalHost:4200/API", "http://localhost:4200/api"),
        # Without a scheme, or with a broken one
        ("localhost", "http://localhost/api"),
        ("localhost:4200", "http://localhost:4200/api"),
        ("prefect-server:4200/api", "http://prefect-server:4200/api"),
        ("prefect.prod.svc.cluster.local:4200", "http://prefect.prod.svc.cluster.local:4200/api"),
        ("prefect.example.com:4200", "http://prefect.example.com:4200/api"),
        ("prefect.example.com", "https://prefect.example.com/api"),
        ("//prefect.example.com/api", "https://prefect.example.com/api"),
        ("10.0.0.5:4200", "http://10.0.0.5:4200/api"),
        ("http:/localhost:4200", "http://localhost:4200/api"),
        ("https:prefect.example.com", "https://prefect.example.com/api"),
        # IPv6
        ("http://[::1]:4200/api", "http://[::1]:4200/api"),
        ("[2001:db8::1]:4200", "http://[2001:db8::1]:4200/api"),
        ("::1", "http://[::1]/api"),
        ("2001:db8::1/api", "http://[2001:db8::1]/api"),
        # A prefix
        ("https://tools.example.com/prefect/api", "https://tools.example.com/prefect/api"),
        ("https://tools.example.com/prefect", "https://tools.example.com/prefect/api"),
        ("https://tools.example.com/data/prefect/", "https://tools.example.com/data/prefect/api"),
        ("https://gateway.example.com/api/prefect", "https://gateway.example.com/api/prefect/api"),
        ("https://gateway.example.com/api/prefect/api", "https://gateway.example.com/api/prefect/api"),
        ("https://tools.example.com/flows/api", "https://tools.example.com/flows/api"),
        # A line of a shell or an env file, a slip of the finger
        ("PREFECT_API_URL=http://localhost:4200/api", "http://localhost:4200/api"),
        ('export PREFECT_API_URL="https://p.example.com/api"', "https://p.example.com/api"),
        ("http//localhost:4200", "http://localhost:4200/api"),
        ("https//p.example.com", "https://p.example.com/api"),
        ("HTTPS//p.example.com", "https://p.example.com/api"),
        # A page of the UI
        ("http://localhost:4200/dashboard", "http://localhost:4200/api"),
        ("http://localhost:4200/runs/flow-run/1b2c?tab=Logs&g_range=x#top", "http://localhost:4200/api"),
        ("http://localhost:4200/v2/deployments", "http://localhost:4200/api"),
        ("https://tools.example.com/prefect/flows/flow/1b2c", "https://tools.example.com/prefect/api"),
        # An @ that stands behind no password
        ("https://tools.example.com/@team/prefect", "https://tools.example.com/@team/prefect/api"),
        ("http://localhost:4200/runs?from=http://me@example.com", "http://localhost:4200/api"),
        # An endpoint, and the API's documentation
        ("http://localhost:4200/api/flows/filter", "http://localhost:4200/api"),
        ("http://localhost:4200/api/health", "http://localhost:4200/api"),
        ("https://tools.example.com/prefect/api/docs", "https://tools.example.com/prefect/api"),
    ],
)
def test_what_is_clear_is_made_right(pasted: str, api: str) -> None:
    assert server_api_url(pasted) == api
    assert server_api_url(api) == api


@pytest.mark.parametrize(
    ("pasted", "sentence"),
    [
        ("", "It is empty. It should look like http://localhost:4200/api."),
        ("   ", "It is empty. It should look like http://localhost:4200/api."),
        ("http://", "'http://' names no host. It should look like http://localhost:4200/api."),
        (
            "http://local host:4200",
            "'http://local host:4200' contains a space. It should look like http://localhost:4200/api.",
        ),
        ("ftp://prefect", "'ftp://prefect' begins with 'ftp'. It should begin with https:// or http://."),
        ("http://h:99999", "'http://h:99999' is not a web address (Port out of range 0-65535)."),
        (
            "http://::1:4200",
            "'http://::1:4200' is not a web address (an IPv6 address stands in brackets, such as "
            "http://[::1]:4200/api).",
        ),
        (
            "http://prefect:4200:4201",
            "'http://prefect:4200:4201' is not a web address (an IPv6 address stands in brackets, such as "
            "http://[::1]:4200/api).",
        ),
        (
            "::1:4200",
            "'::1:4200' is not a web address (an IPv6 address stands in brackets, such as http://[::1]:4200/api).",
        ),
        (
            "https://app.prefect.cloud/settings",
            "app.prefect.cloud is Prefect Cloud, not a Prefect Server: choose Prefect Cloud as the connection.",
        ),
        (
            f"https://app.prefect.cloud/account/{ACCOUNT}/workspace/{WORKSPACE}/dashboard",
            "app.prefect.cloud is Prefect Cloud, not a Prefect Server: choose Prefect Cloud as the connection, with "
            f"account_id {ACCOUNT} and workspace_id {WORKSPACE}.",
        ),
        (
            CLOUD,
            "api.prefect.cloud is Prefect Cloud, not a Prefect Server: choose Prefect Cloud as the connection, with "
            f"account_id {ACCOUNT} and workspace_id {WORKSPACE}.",
        ),
    ],
)
def test_what_is_not_clear_is_refused_with_a_sentence(pasted: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        server_api_url(pasted)


@pytest.mark.parametrize("pasted", ["http://admin:secret@localhost:4200", "admin:secret@localhost:4200/api"])
def test_credentials_in_an_address_are_refused_and_not_repeated(pasted: str) -> None:
    with pytest.raises(ValueError, match=r"^It holds a user or password. They belong in the field auth_string.$"):
        server_api_url(pasted)


@pytest.mark.parametrize(
    "pasted",
    [
        "https://api.prefect.cloud/api",
        "https://api.prefect.cloud",
        "api.prefect.cloud/api/",
        CLOUD,
        f"{CLOUD}/flows/filter",
        "https://app.prefect.cloud",
        f"https://app.prefect.cloud/account/{ACCOUNT}/workspace/{WORKSPACE}/flow-runs?state=failed",
        f"app.prefect.cloud/account/{ACCOUNT.upper()}/workspace/{WORKSPACE}",
    ],
)
def test_every_address_of_cloud_leads_to_its_api(pasted: str) -> None:
    assert cloud_api_url(pasted) == "https://api.prefect.cloud/api"


@pytest.mark.parametrize(
    ("pasted", "api"),
    [
        ("https://prefect.private.example.com", "https://prefect.private.example.com/api"),
        ("https://private.example.com/prefect/api", "https://private.example.com/prefect/api"),
        (
            f"https://private.example.com/api/accounts/{ACCOUNT}/workspaces/{WORKSPACE}",
            "https://private.example.com/api",
        ),
    ],
)
def test_a_private_endpoint_stands_in_for_cloud(pasted: str, api: str) -> None:
    assert cloud_api_url(pasted) == api


def test_a_workspace_has_its_address_below_that_of_the_api() -> None:
    assert workspace_api_url("https://api.prefect.cloud/api", ACCOUNT, WORKSPACE) == CLOUD


@pytest.mark.parametrize(
    ("pasted", "found"),
    [
        (f"{CLOUD}/flows/filter", [(ACCOUNT, WORKSPACE)]),
        (f"app.prefect.cloud/account/{ACCOUNT.upper()}/workspace/{WORKSPACE}?x=1", [(ACCOUNT, WORKSPACE)]),
        (f"{CLOUD}, /account/{WORKSPACE}/workspace/{ACCOUNT}", [(ACCOUNT, WORKSPACE), (WORKSPACE, ACCOUNT)]),
        (f"https://app.prefect.cloud/account/{ACCOUNT}", []),
        ("", []),
    ],
)
def test_the_workspaces_in_a_text_are_found_by_their_addresses(pasted: str, found: list[tuple[str, str]]) -> None:
    assert workspaces_in(pasted) == found


def test_the_ui_stands_beside_the_api() -> None:
    assert server_ui_url("https://tools.example.com/prefect/api") == "https://tools.example.com/prefect"


@pytest.mark.parametrize(
    ("api", "ui"),
    [
        ("https://api.prefect.cloud/api", "https://app.prefect.cloud"),
        ("https://api.private.prefect.cloud/api", "https://app.private.prefect.cloud"),
        ("https://private.example.com/api", "https://app.prefect.cloud"),
    ],
)
def test_the_ui_of_cloud_is_beside_its_api_or_the_public_one(api: str, ui: str) -> None:
    assert cloud_ui_url(api, ACCOUNT, WORKSPACE) == f"{ui}/account/{ACCOUNT}/workspace/{WORKSPACE}"


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *[(host, True) for host in ("localhost", "127.0.0.1", "::1", "fe80::1%eth0", "10.1.2.3", "192.168.0.9")],
        *[(host, True) for host in ("prefect-server", "prefect.prod.svc.cluster.local", "nas.lan")],
        *[(host, False) for host in ("prefect.example.com", "8.8.8.8", "2606:4700::1111")],
    ],
)
def test_local_is_a_machine_of_ones_own_network(host: str, local: bool) -> None:
    assert is_local(host) is local
