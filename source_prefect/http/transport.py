"""The connections of one command: every request is sent, repeated and delayed here."""

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets

from source_prefect.http.adapter import Adapter
from source_prefect.http.answers import parse, retry_after, server_date
from source_prefect.http.errors import Problem, failure, no_answer, problem_of
from source_prefect.http.gate import Gate
from source_prefect.http.oauth import Token, TokenError
from source_prefect.settings.address import is_local
from source_prefect.settings.tls import TlsSettings
from source_prefect.times import shift

LOGGER = logging.getLogger("airbyte")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_ACCOUNT = re.compile(r"/accounts/([^/]+)")


class Patience(NamedTuple):
    """How long to wait for an answer, in seconds.

    `pauses`: before each repetition of a request; `unreached` of them where the server never
    answered, because a wrong address stays wrong. `longest_wait`: the longest `Retry-After`.
    `longest_maintenance`: of each stream.
    """

    pauses: tuple[float, ...]
    unreached: int
    longest_wait: float
    longest_maintenance: float


IN_A_SYNC = Patience(pauses=(1, 2, 4, 8, 16), unreached=3, longest_wait=600, longest_maintenance=1800)
# A user waits in front of a form.
IN_A_CHECK = Patience(pauses=(1,), unreached=1, longest_wait=2, longest_maintenance=0)


class ServerClock:
    """Shows the server's time, whatever the connector's clock says, which may be wrong or be set
    in mid-sync.

    `Date` is in whole seconds, and an answer takes a moment: the clock is up to some seconds
    behind. Of several API servers, the one whose clock is behind counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # How far the server's clock is ahead of the monotonic one, in seconds.
        self._ahead: float | None = None

    def read(self, date: datetime | None) -> None:
        """Learn from the `Date` of an answer that has just come."""
        if date is not None:
            ahead = date.timestamp() - time.monotonic()
            with self._lock:
                self._ahead = ahead if self._ahead is None else min(ahead, self._ahead)

    @property
    def now(self) -> datetime | None:
        """The server's time; None where no answer had a `Date`."""
        return None if self._ahead is None else shift(_EPOCH, timedelta(seconds=self._ahead + time.monotonic()))


class Transport(Adapter):
    """Sends the requests to one Prefect API.

    - TLS as configured. No redirect is followed: that would send the credentials to another
      address.
    - No more than `workers` requests at the same time, however many threads there are.
    - What may succeed later is repeated, as `patience` says; a 429 makes all requests to the
      account wait.
    - Behind an identity proxy, each request has a valid token; one that is refused is renewed
      once.
    - CSRF protection is detected. All requests share one token, because a second one invalidates
      the first.
    - No cache is to answer.
    - An answer has a limit of time and of size: see `Adapter`.
    """

    def __init__(
        self,
        api_url: Callable[[], str],
        tls: TlsSettings,
        workers: int,
        per_minute: int | None,
        patience: Patience,
        token: Token | None = None,
    ) -> None:
        self.clock = ServerClock()
        self._token = token
        self._api_url = api_url
        self._patience = patience
        self._gate = Gate(per_minute)
        self._gates: dict[str, Gate] = {}
        self._slots = threading.BoundedSemaphore(workers)
        self._client = str(uuid.uuid4())
        # The headers with the newest token.
        self._csrf: Mapping[str, str] = {}
        self._csrf_lock = threading.Lock()
        self._has_answered = False
        self._of_thread = threading.local()
        super().__init__(tls.context())

    def limit(self, account_id: str, per_minute: int) -> None:
        """Send no more requests a minute to this account of Prefect Cloud."""
        self._gates[account_id] = Gate(per_minute)

    def pause(self, seconds: float) -> None:
        """Wait. Raises SessionClosedError when the command ends meanwhile."""
        self._gate.pause(seconds)

    @contextmanager
    def without_patience(self) -> Iterator[None]:
        """In this thread, do not repeat a request at which Prefect failed (5xx). Any other that
        fails is repeated at once, and then as always.

        A server closes the connection after a failure, so the next request may find it closed.
        """
        self._of_thread.is_impatient = True
        try:
            yield
        finally:
            self._of_thread.is_impatient = False

    def end(self) -> None:
        """Send nothing more. Not `close`, which each session of `requests` calls at its end."""
        for gate in (self._gate, *self._gates.values()):
            gate.shut()
        super().close()

    def close(self) -> None:
        """Nothing: other sessions use the connections too."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """The last answer, even a refusal or a failure.

        Raises AirbyteTracedException where there is none or a redirect, SessionClosedError after
        `end`.
        """
        is_impatient = getattr(self._of_thread, "is_impatient", False)
        pauses = (0.0, *self._patience.pauses) if is_impatient else self._patience.pauses
        answer: requests.Response | None = None
        for sent, pause in enumerate((*pauses, None)):
            response: requests.Response | None = None
            try:
                answer = response = self._send_with_token(request, *args, **kwargs)
                problem = problem_of(response, self._patience.longest_wait)
                self._has_answered = True
            except TokenError as error:
                problem = error.problem
            except requests.RequestException as error:
                problem = no_answer(error, request.url or "", self._has_answered)
            if problem is None or not problem.is_temporary or pause is None:
                break
            if problem.is_unreached and sent >= self._patience.unreached:
                break
            if is_impatient and response is not None and response.status_code >= 500:
                break
            self._wait(problem, response, pause)
        if answer is None or answer.is_redirect:  # `requests` would follow it.
            raise problem.failure()  # type: ignore[union-attr]  # in both cases, there is a problem
        return answer

    def try_twice(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response | None:
        """The answer to a request that may fail, sent without patience. Teaches `clock`."""
        for _ in range(2):
            with suppress(requests.RequestException):
                return self._send_once(request, **kwargs)
        return None

    def _wait(self, problem: Problem, response: requests.Response | None, seconds: float) -> None:
        if response is not None and (asked := retry_after(response)):
            if response.status_code == requests.codes.too_many_requests:
                return  # The gate is closed for so long.
            seconds = asked
        LOGGER.info(f"{problem.sentence} The request is sent again in {seconds:g} s.")
        self.pause(seconds)

    def _send_with_token(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.headers.update(self._csrf)
        response = self._send_once(request, *args, **kwargs)
        if response.status_code != requests.codes.forbidden or b"CSRF token" not in response.content:
            return response
        with self._csrf_lock:
            # Another thread may have fetched a token since this request was made.
            if request.headers.get("Prefect-Csrf-Token") == self._csrf.get("Prefect-Csrf-Token"):
                asked = requests.Request("GET", f"{self._api_url()}/csrf-token?client={self._client}").prepare()
                # The credentials are those of the request that was refused.
                asked.headers.update({k: v for k, v in request.headers.items() if not k.lower().startswith("content-")})
                answer = self._send_once(asked, *args, **kwargs)
                if not answer.ok:
                    return answer
                token = _csrf_token(answer)
                add_to_secrets(token)
                self._csrf = {"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": self._client}
        request.headers.update(self._csrf)
        return self._send_once(request, *args, **kwargs)

    def _send_once(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if not self._token:
            return self._pass(request, *args, **kwargs)
        self._token.sign(request)
        response = self._pass(request, *args, **kwargs)
        # A proxy sends to its login page whom it does not know.
        if response.status_code == requests.codes.unauthorized or response.is_redirect:
            self._token.renew(request)
            response = self._pass(request, *args, **kwargs)
        return response

    def _pass(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        account = _ACCOUNT.search(request.url or "")
        gate = self._gates.get(account[1], self._gate) if account else self._gate
        request.headers.setdefault("Cache-Control", "no-cache, no-store")
        # A slot first: a 429 must find all others still in front of the gate.
        with self._slots, gate.passing():
            response = super().send(request, *args, **kwargs)
            self.clock.read(server_date(response))
            if response.status_code == requests.codes.too_many_requests:
                seconds = retry_after(response) or self._patience.pauses[0]
                if seconds <= self._patience.longest_wait and gate.close(seconds):
                    LOGGER.info(f"Prefect asked to slow down (429): all requests wait for {seconds:g} s.")
            return response


def _csrf_token(answer: requests.Response) -> str:
    """Raises AirbyteTracedException where the answer holds none that a header can hold."""
    with suppress(ValueError, LookupError, TypeError):
        token = parse(answer.content)["token"]
        if re.fullmatch(r"[!-~]+", token):
            return str(token)
    raise failure(
        f"{urlsplit(answer.url).netloc} demands a CSRF token and gives none that can be used. Is another program or a "
        "login page in front of the Prefect Server?"
    )


def warn_of_risks(api_url: str, tls: TlsSettings, has_secret: bool) -> None:
    """Log what is unsafe about a connection."""
    parts = urlsplit(api_url)
    if parts.scheme == "http" and has_secret and not is_local(parts.hostname or ""):
        LOGGER.warning(f"The credentials for {parts.netloc} travel unencrypted: its address begins with http://.")
    if not tls.verify:
        # Logged here once; urllib3 would print it for every request.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        LOGGER.warning(
            f"TLS verification is OFF (verify_tls): anyone between this machine and {parts.netloc} can read and "
            "change everything, credentials included. Better paste the CA's certificate into ca_certificate."
        )
