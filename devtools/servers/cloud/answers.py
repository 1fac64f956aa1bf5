"""The refusals of Prefect Cloud."""

import json
from typing import Any

from devtools.servers.proxy import Answer


def refusal(status: int, detail: Any, **headers: str) -> Answer:
    """An answer in the form that all refusals of the API have."""
    body = json.dumps({"detail": detail}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body, {"Content-Type": "application/json", **named})


def unauthorized() -> Answer:
    return refusal(401, "Invalid authentication credentials")


def forbidden() -> Answer:
    return refusal(403, "Forbidden")


def not_found() -> Answer:
    """Also where the key's owner is no member of a workspace: nobody learns whether it exists."""
    return refusal(404, "Not Found")


def length_required() -> Answer:
    answer = refusal(411, "Length Required")
    # The body is still on its way: the next request of the connection would begin in the middle of
    # it.
    answer.cut_after = len(answer.body)
    return answer


def too_large() -> Answer:
    return refusal(413, "Request Entity Too Large")


def too_many_requests(seconds: float) -> Answer:
    return refusal(429, "Orchestration API rate limit reached", Retry_After=f"{seconds:.3f}")


def maintenance(retry_after: float | None) -> Answer:
    headers = {"Prefect_Maintenance": "true"} | ({} if retry_after is None else {"Retry_After": str(retry_after)})
    return refusal(503, "Prefect Cloud is under maintenance", **headers)


def server_error() -> Answer:
    return refusal(500, "Internal Server Error")
