"""What older versions of Prefect answer where newer ones know more."""

import json

from devtools.servers.proxy import Answer, Forward, Request


def refuses_end_time(request: Request, forward: Forward) -> Answer:
    """As Prefect 3.6.21 does."""
    asked = (request.body.get("task_runs") or {}).get("end_time")
    if request.path != "task_runs/filter" or asked is None:
        return forward(request)
    error = {
        "type": "extra_forbidden",
        "loc": ["body", "task_runs", "end_time"],
        "msg": "Extra inputs are not permitted",
        "input": asked,
    }
    body = {"exception_message": "Invalid request received.", "exception_detail": [error], "request_body": request.body}
    return Answer(422, json.dumps(body).encode())
