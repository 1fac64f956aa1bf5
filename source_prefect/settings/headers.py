"""The headers that a Prefect Server and a proxy in front of it require."""

import base64
import re
from collections.abc import Iterable

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e\x80-\xff]+")

# With other values, Prefect would not read the body, and would ignore every filter.
_OF_THE_BODY = {"content-encoding", "content-length", "content-type", "transfer-encoding"}


def server_headers(auth_string: str, custom_headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The custom headers, and Basic credentials where `auth_string` is set.

    Raises ValueError for an invalid header, without its value, which is a secret.
    """
    headers = {}
    for name, value in custom_headers:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"custom_headers: {name!r} is not a valid name of a header. It should look like CF-Access-Client-Id."
            )
        if name.lower() in _OF_THE_BODY:
            raise ValueError(f"custom_headers: {name} describes the body of a request, and cannot be changed.")
        if not _VALUE.fullmatch(value):
            raise ValueError(
                f"custom_headers: the value of {name} is empty, or contains a line break or a letter that no header "
                "can hold."
            )
        headers[name] = value
    if auth_string:
        headers["Authorization"] = f"Basic {base64.b64encode(auth_string.encode()).decode()}"
    return headers
