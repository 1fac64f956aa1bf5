"""Where the UI of a Prefect Server is, by what the server reports."""

from typing import Any

import pytest

from source_prefect import manifest, server
from source_prefect.http.session import Session
from source_prefect.http.transport import IN_A_CHECK
from source_prefect.settings.parse import parse
from source_prefect.settings.values import Workspace

SPEC = manifest.load()["spec"]["connection_specification"]


@pytest.mark.parametrize(
    ("api_url", "base_path", "serve_base", "ui"),
    [
        ("http://h:4200/api", None, "/", "http://h:4200"),
        ("http://h:4200/api", None, "/ui", "http://h:4200/ui"),
        ("http://h:4200/custom-api", "/custom-api", "/ui/", "http://h:4200/ui"),
        ("https://h/prefect/api", None, "/", "https://h/prefect"),
        ("https://h/prefect/api", None, "/prefect", "https://h/prefect"),
        ("https://h/prefect/api", "/prefect/api", "/prefect", "https://h/prefect"),
        ("http://h:4200/api", 7, {"no": "text"}, "http://h:4200"),
    ],
)
def test_the_ui_is_where_the_server_says(
    api_url: str, base_path: Any, serve_base: Any, ui: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported = {"server": {"api": {"base_path": base_path}, "ui": {"serve_base": serve_base}}}
    monkeypatch.setattr(server, "_ask", lambda _: reported)
    session = Session(parse({"connection": {"type": "server", "api_url": "http://h:4200/api"}}, SPEC), IN_A_CHECK)
    assert server.ui_url(session, Workspace(api_url=api_url, ui_url="")) == ui


@pytest.mark.parametrize("answer", [None, [], {}, {"server": None}, {"server": {"events": {"retention_period": 7}}}])
def test_a_server_that_does_not_tell_is_believed_to_be_as_usual(answer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_ask", lambda _: answer)
    session = Session(parse({"connection": {"type": "server", "api_url": "http://h:4200/api"}}, SPEC), IN_A_CHECK)
    assert server.ui_url(session, Workspace(api_url="http://h:4200/api", ui_url="")) == "http://h:4200"
    assert server.kept_events(session) is None
