"""Access tokens for a server behind an identity proxy."""

import threading
from typing import Any

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.streams.http.requests_native_auth import Oauth2Authenticator
from airbyte_cdk.utils.airbyte_secrets_utils import add_to_secrets
from airbyte_cdk.utils.datetime_helpers import ab_datetime_now

from source_prefect.http.adapter import Adapter
from source_prefect.http.errors import Problem, reason_of
from source_prefect.settings.tls import TlsSettings
from source_prefect.settings.values import OAuth

# In seconds: to connect, and between two bytes.
_TIMEOUT = (10, 30)


class TokenError(requests.RequestException):
    """No token came; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem


class Token:
    """The token of one command, by client credentials; renewed when it expires or is refused.

    The manifest's `OAuthAuthenticator` would fetch one for each stream and none for other
    questions, and its templates change a secret that looks like a number.
    """

    def __init__(self, client: OAuth, tls: TlsSettings) -> None:
        self._provider = _Provider(client, tls)
        self._renewing = threading.Lock()

    def sign(self, request: requests.PreparedRequest) -> None:
        """Put the token into a request. Raises TokenError where there is none."""
        try:
            request.headers.update(self._provider.get_auth_header())
        except TokenError:
            raise
        except Exception:  # The CDK raises whatever it meets in an answer without a token.
            raise self._provider.error("it gave no token") from None

    def renew(self, request: requests.PreparedRequest) -> None:
        """Put another token into a request whose token was refused. Raises TokenError."""
        with self._renewing:
            if request.headers.get("Authorization") == f"Bearer {self._provider.access_token}":
                self._provider.set_token_expiry_date(ab_datetime_now())
            self.sign(request)


class _Provider(Oauth2Authenticator):
    """The CDK's client; its own request has no time limit, and knows no private CA."""

    def __init__(self, client: OAuth, tls: TlsSettings) -> None:
        more = {name: value for name in ("scope", "audience") if (value := getattr(client, name))}
        super().__init__(
            client.token_url,
            client.client_id,
            client.client_secret,
            refresh_token="",
            grant_type="client_credentials",
            refresh_request_body=more,
        )
        self._url = client.token_url
        self._session = requests.Session()
        self._session.mount("https://", Adapter(tls.of_other_peers()))
        self._session.mount("http://", Adapter(None))

    def _make_handled_request(self) -> Any:
        try:
            # Without a function for `auth`, an entry in ~/.netrc would be sent.
            response = self._session.post(
                self._url,
                data=self.build_refresh_request_body(),
                timeout=_TIMEOUT,
                allow_redirects=False,
                auth=lambda request: request,
            )
        except requests.exceptions.SSLError as error:
            raise self.error(f"TLS failed: {reason_of(error)}") from None
        except requests.RequestException as error:
            raise self.error(reason_of(error), is_temporary=True) from None
        status = response.status_code
        if status != requests.codes.ok:
            is_temporary = status == requests.codes.too_many_requests or status >= 500
            raise self.error(f"it answered {status}", is_temporary=is_temporary)
        answer = response.json()
        add_to_secrets(str(answer["access_token"]))
        return answer

    def error(self, reason: str, *, is_temporary: bool = False) -> TokenError:
        """Why there is no token."""
        sentence = (
            f"There is no token from {self._url}: {reason}. Check token_url, client_id and client_secret of "
            "connection.oauth, and the scope or audience that the identity provider asks for."
        )
        kind = FailureType.transient_error if is_temporary else FailureType.config_error
        return TokenError(Problem(sentence, kind, is_temporary, is_unreached=not self.access_token))
