"""Whatever a person types or pastes works, or a sentence names the field and what is right."""

import base64
import dataclasses
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from devtools.data.configs import API_KEY, CONFIG, NOBODY_LISTENS
from devtools.servers.tls import issue
from source_prefect import manifest
from source_prefect.settings.address import server_ui_url
from source_prefect.settings.parse import ConfigError, parse
from source_prefect.settings.tls import TlsSettings
from source_prefect.settings.values import Cloud, Named, OAuth, Server, Settings, Workspace

SPEC = manifest.load()["spec"]["connection_specification"]
ACCOUNT = "01234567-89ab-cdef-0123-456789abcdef"
WORKSPACE = "89abcdef-0123-4567-89ab-cdef01234567"
CLOUD = {"type": "cloud", "api_key": "pnu_0123456789abcdef", "account_id": ACCOUNT, "workspace_id": WORKSPACE}
SERVER = {"type": "server", "api_url": "http://localhost:4200/api"}

CA = issue("Company CA")
CLIENT = issue("airbyte", CA)

HOW_A_KEY = "paste an API key from Prefect Cloud's Profile > API Keys."
HOW_AN_ACCOUNT = (
    "copy what follows /account/ in the address of your workspace in the Prefect Cloud UI, "
    "such as 01234567-89ab-cdef-0123-456789abcdef."
)


HOW_A_WORKSPACE = "it must be the address of a workspace as the browser shows it, or the UUID after /workspace/ in it."
HOW_A_CHOICE = "it must be only or one or several or all."
NAMED_TWICE = (
    "connection.workspaces names the workspaces already: leave account_id and workspace_id empty, and name no "
    "workspace in api_url."
)
PATH = f"api.prefect.cloud/api/accounts/{ACCOUNT}/workspaces/{WORKSPACE}"
HERE = f"https://{PATH}"


def settings_of(config: Mapping[str, Any]) -> Settings:
    return parse(config, SPEC)


def several(*workspaces: Any, named: bool = False) -> dict[str, Any]:
    """A connection to these workspaces; the fields for a single one may name one as well."""
    ids = {name: CLOUD[name] for name in ("account_id", "workspace_id") if named}
    return {"connection": {"type": "cloud", "api_key": "pnu_1", "workspaces": list(workspaces), **ids}}


def chosen(which: Any, **more: Any) -> dict[str, Any]:
    """A connection to the workspaces of this choice."""
    return {"connection": {"type": "cloud", "api_key": "pnu_1", "workspace": {"choice": which}, **more}}


def one(address: Any) -> dict[str, Any]:
    return chosen("one", workspace={"choice": "one", "address": address})


def some(*addresses: Any) -> dict[str, Any]:
    return chosen("several", workspace={"choice": "several", "addresses": list(addresses)})


def cloud(**changes: Any) -> dict[str, Any]:
    return {"connection": {**CLOUD, **changes}}


def server(**changes: Any) -> dict[str, Any]:
    return {"connection": {**SERVER, **changes}}


def without(config: dict[str, Any], field: str) -> dict[str, Any]:
    return {"connection": {key: value for key, value in config["connection"].items() if key != field}}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({}, "connection is missing: choose Prefect Cloud or Prefect Server."),
        ({"connection": None}, "connection is missing: choose Prefect Cloud or Prefect Server."),
        ({"connection": "cloud"}, "connection must be an object with a type and its fields, not text."),
        ({"connection": {}}, "connection.type is missing; it must be cloud or server."),
        ({"connection": {"type": "Cloud"}}, "connection.type is 'Cloud'; it must be cloud or server."),
        ({"connection": {"type": 1}}, "connection.type must be text, not a number."),
        (without(cloud(), "api_key"), f"connection.api_key is missing: {HOW_A_KEY}"),
        (cloud(api_key=""), f"connection.api_key is missing: {HOW_A_KEY}"),
        (cloud(api_key=" \n"), f"connection.api_key is missing: {HOW_A_KEY}"),
        (cloud(api_key=["pnu_1"]), "connection.api_key must be text, not a list."),
        (cloud(api_key="pnu_01\n23"), "connection.api_key contains a line break: it must be one line."),
        (
            cloud(api_key="Bearer pnu_0123"),
            "connection.api_key contains a space or a special character: paste the key alone, such as pnu_0123456789.",
        ),
        (cloud(account_id="acme"), f"connection.account_id is not a valid UUID: {HOW_AN_ACCOUNT}"),
        (cloud(account_id=7), "connection.account_id must be text, not a number."),
        (
            cloud(workspace_id=f"{WORKSPACE}/dashboard"),
            "connection.workspace_id is not a valid UUID: copy what follows /workspace/ in the address of your "
            "workspace in the Prefect Cloud UI, such as 01234567-89ab-cdef-0123-456789abcdef.",
        ),
        (several("all", named=True), NAMED_TWICE),
        (several(WORKSPACE, named=True), NAMED_TWICE),
        ({"connection": {**several("all")["connection"], "api_url": HERE}}, NAMED_TWICE),
        (cloud(workspaces="all"), "connection.workspaces must be a list of texts, not text."),
        (several(WORKSPACE, 7), "connection.workspaces[1] must be text, not a number."),
        (several("all", WORKSPACE), f"connection.workspaces[0] is 'all'; {HOW_A_WORKSPACE}"),
        (several(WORKSPACE, "staging"), f"connection.workspaces[1] is 'staging'; {HOW_A_WORKSPACE}"),
        (several(""), f"connection.workspaces[0] is ''; {HOW_A_WORKSPACE}"),
        (
            several("pnu_0123456789abcdef"),
            "connection.workspaces[0] holds an API key of Prefect Cloud: it belongs in api_key.",
        ),
        (chosen(None), f"connection.workspace.choice is missing; {HOW_A_CHOICE}"),
        (chosen("two"), f"connection.workspace.choice is 'two'; {HOW_A_CHOICE}"),
        (cloud(workspace="all"), "connection.workspace must be an object with a choice and its fields, not text."),
        (one("acme"), f"connection.workspace.address is 'acme'; {HOW_A_WORKSPACE}"),
        (one(None), f"connection.workspace.address is ''; {HOW_A_WORKSPACE}"),
        (one(["x"]), "connection.workspace.address must be text, not a list."),
        (
            one("pnu_0123456789abcdef"),
            "connection.workspace.address holds an API key of Prefect Cloud: it belongs in api_key.",
        ),
        (some(), "connection.workspace.addresses is empty: name a workspace."),
        (some(HERE, "all"), f"connection.workspace.addresses[1] is 'all'; {HOW_A_WORKSPACE}"),
        (chosen("all", api_url=HERE), NAMED_TWICE.replace("workspaces names", "workspace names")),
        (
            cloud(workspace_id=f"{HERE}\n{HERE}"),
            "connection.workspace_id contains a line break: it must be one line.",
        ),
        (
            cloud(workspace_id=f"{HERE} {HERE}"),
            "connection.workspace_id names 2 workspaces: choose several, and make each an entry.",
        ),
        (
            several(HERE, HERE.replace("api.", "api.private.")),
            "connection.workspace names more than one Prefect Cloud: https://api.prefect.cloud/api, "
            "https://api.private.prefect.cloud/api.",
        ),
        (
            cloud(api_url="ftp://api.prefect.cloud/api"),
            "connection.api_url: 'ftp://api.prefect.cloud/api' begins with 'ftp'. "
            "It should begin with https:// or http://.",
        ),
        (
            without(server(), "api_url"),
            "connection.api_url is missing: it should look like http://localhost:4200/api.",
        ),
        (server(api_url=" "), "connection.api_url is missing: it should look like http://localhost:4200/api."),
        (server(api_url=4200), "connection.api_url must be text, not a number."),
        (
            server(api_url="http://local host/api"),
            "connection.api_url: 'http://local host/api' contains a space. "
            "It should look like http://localhost:4200/api.",
        ),
        (server(api_url="[::1"), "connection.api_url: '[::1' is not a web address (Invalid IPv6 URL)."),
        (
            server(api_url="http://.example/api"),
            "connection.api_url is 'http://.example/api', which names no machine; "
            "it should look like http://localhost:4200/api.",
        ),
        (
            server(api_url="http://admin:secret@localhost/api"),
            "connection.api_url: It holds a user or password. They belong in the field auth_string.",
        ),
        (server(auth_string=True), "connection.auth_string must be text, not true or false."),
        (
            server(auth_string="admin:\x00pass"),
            "connection.auth_string contains an invisible control character: retype it.",
        ),
        (
            server(custom_headers={"X-Key": "v"}),
            "connection.custom_headers must be a list of names and values, not an object.",
        ),
        (
            server(custom_headers=["X-Key: v"]),
            "connection.custom_headers[0] must be an object with a name and a value, not text.",
        ),
        (
            server(custom_headers=[{"name": "X-Key", "value": "v"}, {"name": "X Key", "value": "v"}]),
            "connection.custom_headers: 'X Key' is not a valid name of a header. It should look like "
            "CF-Access-Client-Id.",
        ),
        (
            server(custom_headers=[{"name": "X-Key"}]),
            "connection.custom_headers: the value of X-Key is empty, or contains a line break or a letter that no "
            "header can hold.",
        ),
        (
            server(custom_headers=[{"name": "content-type", "value": "text/plain"}]),
            "connection.custom_headers: content-type describes the body of a request, and cannot be changed.",
        ),
        (
            server(custom_headers=[{"name": "X-Key", "value": 7}]),
            "connection.custom_headers[0].value must be text, not a number.",
        ),
        (server(verify_tls="no"), "connection.verify_tls must be true or false, not text."),
        (server(ca_certificate=["PEM"]), "connection.ca_certificate must be text, not a list."),
        (
            server() | {"start_date": "yesterday"},
            "start_date is 'yesterday'; it must look like 2026-01-01 or 2026-01-01T00:00:00Z.",
        ),
        (
            server() | {"start_date": "2026-02-30"},
            "start_date is '2026-02-30'; it must look like 2026-01-01 or 2026-01-01T00:00:00Z.",
        ),
        (server() | {"start_date": 2026}, "start_date must be text, not a number."),
        (
            server() | {"lookback_window": "1 day"},
            "lookback_window is '1 day'; it must be an ISO 8601 duration in days or hours, such as P1D, "
            "of at most 3650 days.",
        ),
        (
            server() | {"lookback_window": "P99999999999D"},
            "lookback_window is 'P99999999999D'; it must be an ISO 8601 duration in days or hours, such as P1D, "
            "of at most 3650 days.",
        ),
        (
            server() | {"lookback_window": "P999999999D"},
            "lookback_window is 'P999999999D'; it must be an ISO 8601 duration in days or hours, such as P1D, "
            "of at most 3650 days.",
        ),
        (
            server() | {"log_level": "LOUD"},
            "log_level is 'LOUD'; it must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL.",
        ),
        (server() | {"log_level": 30}, "log_level must be text, not a number."),
        (server() | {"event_prefixes": "prefect."}, "event_prefixes must be a list of texts, not text."),
        (server() | {"event_prefixes": ["prefect.", 7]}, "event_prefixes[1] must be text, not a number."),
        (server() | {"page_size": 1}, "page_size is 1; it must be a whole number from 2 to 200."),
        (server() | {"page_size": "50"}, "page_size is '50'; it must be a whole number from 2 to 200."),
        (server() | {"num_workers": 2.5}, "num_workers is 2.5; it must be a whole number from 1 to 20."),
        (server() | {"num_workers": True}, "num_workers is true or false; it must be a whole number from 1 to 20."),
    ],
)
def test_a_wrong_config_gets_one_sentence_that_names_the_field(config: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        settings_of(config)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("given_url", "api_url", "ui_url"),
    [
        ("http://localhost:4200/api", "http://localhost:4200/api", "http://localhost:4200"),
        ("http://localhost:4200/api/", "http://localhost:4200/api", "http://localhost:4200"),
        ("http://localhost:4200", "http://localhost:4200/api", "http://localhost:4200"),
        ("  localhost:4200/api\n", "http://localhost:4200/api", "http://localhost:4200"),
        ("https://prefect.example.com/", "https://prefect.example.com/api", "https://prefect.example.com"),
        ("prefect.example.com", "https://prefect.example.com/api", "https://prefect.example.com"),
        ("http://localhost:4200/runs/flow-run/1?x=1#y", "http://localhost:4200/api", "http://localhost:4200"),
        ("https://example.com/prefect/dashboard", "https://example.com/prefect/api", "https://example.com/prefect"),
    ],
)
def test_an_address_of_a_server_is_understood_however_it_is_written(given_url: str, api_url: str, ui_url: str) -> None:
    assert settings_of(server(api_url=given_url)).connection.api_url == api_url
    assert server_ui_url(api_url) == ui_url


BROWSER = f"https://app.prefect.cloud/account/{ACCOUNT}/workspace/{WORKSPACE}/runs?state=failed#top"


def cloud_of(config: Mapping[str, Any]) -> Cloud:
    connection = settings_of(config).connection
    assert isinstance(connection, Cloud)
    return connection


@pytest.mark.parametrize("field", ["workspace_id", "api_url"])
def test_the_address_of_a_workspace_in_the_browser_says_it_all(field: str) -> None:
    found = cloud_of({"connection": {"type": "cloud", "api_key": "pnu_1", field: f" {BROWSER}\n"}})
    assert found == Cloud("pnu_1", "https://api.prefect.cloud/api", (Named(ACCOUNT, WORKSPACE),), reads_all=False)


def test_several_workspaces_are_named_by_their_addresses_or_ids_in_their_order() -> None:
    assert cloud_of(several(ACCOUNT.upper(), BROWSER)).named == (Named("", ACCOUNT), Named(ACCOUNT, WORKSPACE))


def test_without_a_name_it_is_the_only_workspace_of_the_key_and_all_means_each() -> None:
    only, every = cloud_of(several()), cloud_of(several("all"))
    assert (only.named, only.reads_all) == ((Named(),), False)
    assert (every.named, every.reads_all) == ((), True)


@pytest.mark.parametrize(
    ("choice", "older"),
    [
        (chosen("only"), several()),
        (one(BROWSER), several(BROWSER)),
        (one(f" {WORKSPACE.upper()}"), several(WORKSPACE)),
        (some(HERE, ACCOUNT), several(HERE, ACCOUNT)),
        (chosen("all"), several("all")),
        (chosen("only", api_url=HERE), {"connection": {"type": "cloud", "api_key": "pnu_1", "api_url": HERE}}),
    ],
)
def test_the_choice_of_workspaces_says_what_the_older_fields_say_and_counts_before_them(
    choice: dict[str, Any], older: dict[str, Any]
) -> None:
    assert settings_of(choice) == settings_of(older)
    hidden = {"account_id": WORKSPACE, "workspace_id": ACCOUNT, "workspaces": [BROWSER, "x"]}
    assert settings_of({"connection": {**hidden, **choice["connection"]}}) == settings_of(older)


def test_the_address_of_a_private_ui_leads_to_the_private_api() -> None:
    private = BROWSER.replace("app.", "app.private.")
    pasted = cloud(account_id="", workspace_id=private, api_url="https://api.prefect.cloud/api")
    for config in (pasted, several(private, private)):
        assert cloud_of(config).api_url == "https://api.private.prefect.cloud/api"


def test_an_address_in_another_account_than_the_one_named_is_refused() -> None:
    with pytest.raises(ConfigError, match="unlike account_id"):
        settings_of(cloud(workspace_id=BROWSER, account_id=WORKSPACE))


@pytest.mark.parametrize("address", [BROWSER, HERE])
@pytest.mark.parametrize("ids", [{"account_id": WORKSPACE}, {"workspace_id": ACCOUNT}])
def test_another_workspace_in_the_api_url_than_the_ids_say_is_refused(address: str, ids: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="unlike account_id and workspace_id"):
        settings_of(cloud(api_url=address, **ids))
    assert settings_of(cloud(api_url=address)) == settings_of(cloud())


def test_blanks_around_what_was_pasted_are_dropped() -> None:
    pasted = {
        "type": " cloud",
        "api_key": " pnu_0123456789abcdef\n",
        "account_id": f"\t{ACCOUNT} ",
        "workspace_id": f"{WORKSPACE}\r\n",
        "api_url": " ",
    }
    assert settings_of({"connection": pasted, "start_date": " 2026-01-02 "}) == Settings(
        connection=Cloud(
            "pnu_0123456789abcdef", "https://api.prefect.cloud/api", (Named(ACCOUNT, WORKSPACE),), reads_all=False
        ),
        start_date=datetime(2026, 1, 2, tzinfo=UTC),
        lookback_window=timedelta(days=1),
        log_level=20,
        event_prefixes=(),
        leave_out=frozenset(),
        max_requests_per_minute=None,
        num_workers=4,
        page_size=200,
        unknown=(),
    )
    headers = [{"name": " X-Key ", "value": " v\n"}]
    trimmed = settings_of(server(auth_string="admin:pass\n", custom_headers=headers)).connection
    assert trimmed.headers == {"X-Key": "v", "Authorization": "Basic YWRtaW46cGFzcw=="}


def test_nothing_can_be_changed_in_a_value_of_settings() -> None:
    ready = settings_of(server())
    for value in (ready, ready.connection):
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.type = "cloud"  # type: ignore[misc,union-attr]


@pytest.mark.parametrize("base", [cloud(), server()])
def test_keys_that_are_no_settings_are_named_and_change_nothing(base: dict[str, Any]) -> None:
    """Among them those of the other connection, and names that the connector uses inside."""
    other = {"ui": "x", "is_check": True}
    unknown = settings_of({**base, "problem": "x", "type": "x", "connection": {**base["connection"], **other}})
    assert unknown.unknown == ("problem", "type", "connection.ui", "connection.is_check")
    assert dataclasses.replace(unknown, unknown=()) == settings_of(base)


def test_fields_of_the_other_connection_are_unknown() -> None:
    assert settings_of(server(api_key="x", verify_tls=True)).unknown == ("connection.api_key",)
    assert settings_of(cloud(auth_string="x", workspaces=[])).unknown == ("connection.auth_string",)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        (None, timedelta(days=1)),
        ("", timedelta(days=1)),
        ("PT12H", timedelta(hours=12)),
        (" P1W ", timedelta(weeks=1)),
        ("P0D", timedelta(0)),
    ],
)
def test_the_lookback_window_is_a_day_unless_set(text: str | None, window: timedelta) -> None:
    assert settings_of(server() | {"lookback_window": text}).lookback_window == window


@pytest.mark.parametrize(("name", "number"), [(None, 20), ("DEBUG", 10), ("warning", 30), ("CRITICAL", 50)])
def test_a_log_level_has_a_number(name: str | None, number: int) -> None:
    assert settings_of(server() | {"log_level": name}).log_level == number


NAMES = [name for name in SPEC["properties"] if name != "connection"]
A_FIELD = re.compile(rf"(connection|{'|'.join(NAMES)})\b")
SECRET = "hunter2hunter2"
ODD_TEXT = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(categories=["Cs", "Cc", "Nd", "Po"]), max_size=20),
    st.sampled_from(["", " ", "\n", "http://", "://", "http://[", "http://a..b", "http://%zz", "//x", "P", "-P1D"]),
    st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31", "20260101", "1767225600", "P1Y", "P1M", "PT1e9S"]),
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ODD_TEXT,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(ODD_TEXT, children, max_size=3),
    max_leaves=6,
)
FIELDS = ["type", "api_key", "account_id", "workspace_id", "api_url", "auth_string", "custom_headers"]
CHANGES = st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=3)
SETTINGS = st.dictionaries(st.sampled_from(["connection", *NAMES, "other"]), ANYTHING)


@settings(max_examples=600, deadline=10_000, suppress_health_check=[HealthCheck.too_slow])
@given(
    base=st.sampled_from([CLOUD | {"api_key": SECRET}, SERVER | {"auth_string": f"admin:{SECRET}"}]),
    changes=CHANGES,
    settings_=SETTINGS,
)
def test_no_config_ends_in_anything_but_a_sentence(
    base: dict[str, Any], changes: dict[str, Any], settings_: dict[str, Any]
) -> None:
    try:
        ready = settings_of({"connection": {**base, **changes}, **settings_})
    except ConfigError as error:
        sentence = str(error)
        assert A_FIELD.match(sentence)
        assert sentence.endswith(".")
        assert len(sentence.splitlines()) == 1
        assert "Error" not in sentence
        assert SECRET not in sentence
    else:
        assert re.match(r"https?://.+/api", ready.connection.api_url)


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@example({"connection": {"type": "server", "api_url": NOBODY_LISTENS}})
@given(CONFIG)
def test_any_config_is_made_ready_or_ends_in_one_sentence(config: dict[str, Any]) -> None:
    try:
        ready = settings_of(config)
    except ConfigError as error:
        sentence = str(error)
        assert A_FIELD.match(sentence)
        assert sentence.endswith(".")
        assert len(sentence.splitlines()) == 1
        assert API_KEY not in sentence
    else:
        assert re.match(r"https?://.+/api", ready.connection.api_url)


@pytest.mark.parametrize(
    ("auth_string", "sentence"),
    [
        ('"admin:pass"', "has quotes around it: paste the server's user and password alone, such as admin:password."),
        ("Basic YWRtaW46cGFzcw==", "begins with 'Basic ': paste the server's user and password alone"),
        ("Authorization: Basic YQ==", "begins with 'Authorization:': paste"),
        ("PREFECT_API_AUTH_STRING=admin:pass", "begins with 'PREFECT_API_AUTH_STRING=': paste"),
    ],
)
def test_an_auth_string_with_more_than_user_and_password_is_refused(auth_string: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"connection.auth_string {sentence}")) as error:
        settings_of({"connection": {"type": "server", "api_url": "http://h:4200", "auth_string": auth_string}})
    assert "pass" not in str(error.value).replace("password", "")


@pytest.mark.parametrize(
    "auth_string", ['admin:"pass"', '"admin":pass', "“admin:pass", "'admin':pass", "basic:pass", "admin:Basic pass"]
)
def test_quotes_and_words_inside_of_an_auth_string_belong_to_it(auth_string: str) -> None:
    basic = base64.b64encode(auth_string.encode()).decode()
    assert settings_of(server(auth_string=auth_string)).connection.headers == {"Authorization": f"Basic {basic}"}


@pytest.mark.parametrize("quotes", ['""', "''", "``", "“”", "„“", "<>"])
def test_quotes_around_a_secret_are_named(quotes: str) -> None:
    with pytest.raises(ConfigError, match="auth_string has quotes around it"):
        settings_of(server(auth_string=f"{quotes[0]}admin:pass{quotes[1]}"))
    for key in (f"{quotes[0]}pnu_1{quotes[1]}", f"{quotes[0]}pnu_1", f"pnu_1{quotes[1]}"):
        with pytest.raises(ConfigError, match=r"api_key has quotes around it: paste the key alone, such as pnu_\d+\.$"):
            settings_of(cloud(api_key=key))


@pytest.mark.parametrize("key", ["https://app.prefect.cloud/my/profile", "app.prefect.cloud/my", "https://example.com"])
def test_an_address_in_place_of_the_key_is_named(key: str) -> None:
    with pytest.raises(ConfigError, match="api_key holds an address: paste an API key, such as pnu_"):
        settings_of(cloud(api_key=key))


@pytest.mark.parametrize("key", ["pnu_1", "pnb_1", " “pnu_1”"])
def test_a_key_of_prefect_cloud_is_noticed_in_every_field_of_a_server(key: str) -> None:
    sentence = "holds an API key of Prefect Cloud: it belongs in a connection to Prefect Cloud."
    for field in ("api_url", "auth_string", "ui_url"):
        with pytest.raises(ConfigError) as error:
            settings_of(server(**{field: key}))
        assert str(error.value) == f"connection.{field} {sentence}"


OAUTH = {"token_url": "https://login.example.com/oauth2/token", "client_id": "airbyte", "client_secret": "s3cret"}


def test_a_client_of_an_identity_provider_may_name_a_scope_and_an_audience() -> None:
    connection = settings_of(server(oauth=OAUTH)).connection
    assert connection.oauth == OAuth(**OAUTH)
    connection = settings_of(server(oauth={**OAUTH, "scope": "read", "audience": "prefect"})).connection
    assert connection.oauth == OAuth(**OAUTH, scope="read", audience="prefect")
    assert settings_of(server()).connection.oauth is None


@pytest.mark.parametrize("field", OAUTH)
def test_an_identity_provider_needs_each_of_three_fields(field: str) -> None:
    with pytest.raises(ConfigError) as error:
        settings_of(server(oauth={**OAUTH, field: " "}))
    assert str(error.value) == f"connection.oauth.{field} is missing: an identity provider needs it."


@pytest.mark.parametrize("url", ["login.example.com", "ftp://x/token", "https://", "https://a b/", "https://me@host/t"])
def test_what_is_no_address_of_tokens_is_shown(url: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"connection.oauth.token_url is {url!r}; it should look like ")):
        settings_of(server(oauth={**OAUTH, "token_url": url}))


@pytest.mark.parametrize(
    "other",
    [
        {"auth_string": "admin:pass"},
        {"custom_headers": [{"name": "X-Key", "value": "v"}, {"name": "authorization", "value": "Bearer x"}]},
    ],
)
def test_a_request_has_one_authorization(other: dict[str, Any]) -> None:
    with pytest.raises(
        ConfigError, match=r"^connection\.oauth and auth_string, or a custom header Authorization, exclude"
    ):
        settings_of(server(oauth=OAUTH, **other))


def test_certificates_are_tried_before_anything_is_sent() -> None:
    lines = f"{CA.pem}\r\n{CLIENT.pem}"
    connection = settings_of(server(ca_certificate=lines, verify_tls=False)).connection
    assert connection.tls == TlsSettings(lines.strip(), "", "", False)
    connection = settings_of(server(client_certificate=CLIENT.pem, client_key=CLIENT.key_pem)).connection
    assert connection.tls == TlsSettings("", CLIENT.pem.strip(), CLIENT.key_pem.strip(), True)
    with pytest.raises(ConfigError, match=r"^connection\.ca_certificate: It holds no PEM block"):
        settings_of(server(ca_certificate="MIIB"))
    with pytest.raises(ConfigError, match=r"^connection\.client_key: It does not belong to client_certificate"):
        settings_of(server(client_certificate=CLIENT.pem, client_key=CA.key_pem))


@pytest.mark.parametrize("blank", ["\n", "\r", "\r\n"])
def test_only_certificates_may_have_lines(blank: str) -> None:
    with pytest.raises(ConfigError, match=r"^connection\.api_url contains a line break: it must be one line\.$"):
        settings_of(server(api_url=f"http://local{blank}host:4200"))


def test_the_address_of_the_ui_may_be_another() -> None:
    connection = settings_of(server(ui_url="https://prefect.example.com/runs")).connection
    assert isinstance(connection, Server)
    assert connection.ui_url == "https://prefect.example.com"
    unnamed = settings_of(server()).connection
    assert isinstance(unnamed, Server)
    assert unnamed.ui_url == ""
    with pytest.raises(ConfigError, match=r"^connection\.ui_url: 'ftp://h' begins with 'ftp'"):
        settings_of(server(ui_url="ftp://h"))


@pytest.mark.parametrize("year", [1970, 9998])
def test_a_start_date_is_within_the_years_that_prefect_can_have(year: int) -> None:
    assert settings_of(server() | {"start_date": f"{year}-01-01"}).start_date == datetime(year, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["1969-12-31", "9999-01-01", "20260101", "2026-01-01 00:00", "2026-01-01T"])
def test_another_start_date_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=f"^start_date is {text!r}; it must look like 2026-01-01"):
        settings_of(server() | {"start_date": text})


def test_the_lookback_window_is_ten_years_at_most() -> None:
    assert settings_of(server() | {"lookback_window": "P3650D"}).lookback_window == timedelta(days=3650)
    for text in ("P3650DT1H", "P3651D", "P1Y", "P"):
        with pytest.raises(ConfigError, match=f"^lookback_window is {text!r}; it must be"):
            settings_of(server() | {"lookback_window": text})


def test_of_a_long_value_sixty_letters_are_shown() -> None:
    for text, shown in (("x" * 58, repr("x" * 58)), ("x" * 59, f"'{'x' * 59}…")):
        with pytest.raises(ConfigError, match=f"^log_level is {shown}; it must be one of"):
            settings_of(server() | {"log_level": text})


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, "true or false"), (1, "a number"), (1.5, "a number"), ("x", "text"), ([], "a list"), ({}, "an object")],
)
def test_the_kind_of_a_value_is_named_as_people_call_it(value: Any, kind: str) -> None:
    field = "event_prefixes" if not isinstance(value, list) else "start_date"
    with pytest.raises(ConfigError, match=f", not {kind}\\.$"):
        settings_of(server() | {field: value})
    with pytest.raises(ConfigError, match=r"^connection.workspaces\[0\] must be text, not null\.$"):
        settings_of(several(None))


@pytest.mark.parametrize(("name", "least", "most"), [("page_size", 2, 200), ("num_workers", 1, 20)])
def test_a_number_may_be_the_least_or_the_most(name: str, least: int, most: int) -> None:
    for number in (least, most):
        assert getattr(settings_of(server() | {name: number}), name) == number
    wrong: list[Any] = [least - 1, most + 1, [least]]
    for number in wrong:
        with pytest.raises(ConfigError, match=f"^{name} is .+; it must be a whole number from {least} to {most}."):
            settings_of(server() | {name: number})


def test_ids_in_capitals_are_those_in_small_letters() -> None:
    capitals = cloud(account_id=ACCOUNT.upper(), workspace_id=WORKSPACE.upper())
    assert settings_of(capitals) == settings_of(cloud())
    assert settings_of(cloud(workspace_id=BROWSER, account_id=ACCOUNT.upper())) == settings_of(cloud())


def test_one_of_the_two_ids_may_be_left_out() -> None:
    assert cloud_of(cloud(account_id="")).named == (Named("", WORKSPACE),)
    assert cloud_of(cloud(workspace_id="")).named == (Named(ACCOUNT, ""),)


@pytest.mark.parametrize("field", ["account_id", "workspace_id"])
def test_all_workspaces_and_one_of_them_exclude_each_other(field: str) -> None:
    for listed in (["all"], [WORKSPACE]):
        with pytest.raises(ConfigError, match=r"^connection\.workspaces names the workspaces already"):
            settings_of(
                {"connection": {"type": "cloud", "api_key": "pnu_1", "workspaces": listed, field: CLOUD[field]}}
            )


def test_workspaces_are_at_the_private_endpoint_that_is_given_wherever_their_addresses_lead() -> None:
    connection = cloud_of({"connection": {**several(BROWSER)["connection"], "api_url": "https://prefect.internal/api"}})
    assert connection.api_url == "https://prefect.internal/api"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"start_date": "2999-01-01"}, "start_date is 2999-01-01, in the future"),
        ({"event_prefixes": ["prefect.", "prefect.*"]}, "event_prefixes has 'prefect.*'"),
        ({"connection": {"type": "server", "api_url": "http://h:4200", "auth_string": "a:ü"}}, "auth_string"),
    ],
)
def test_a_value_that_is_hardly_meant_is_doubted(given: dict[str, Any], name: str) -> None:
    [doubt] = settings_of({**server(), **given}).doubts
    assert doubt.startswith(name)


def test_usual_values_raise_no_doubt() -> None:
    assert settings_of({**server(), "start_date": "2020-01-01", "event_prefixes": ["prefect."]}).doubts == ()


def test_a_row_of_prefect_cloud_gets_the_ids_of_its_workspace_and_one_of_a_server_none() -> None:
    of_cloud = Workspace(api_url=HERE, ui_url=BROWSER, account_id=ACCOUNT, workspace_id=WORKSPACE)
    assert of_cloud.ids == {"account_id": ACCOUNT, "workspace_id": WORKSPACE}
    assert Workspace(api_url="http://localhost:4200/api", ui_url="http://localhost:4200").ids == {}
