"""Access tokens for a server behind an identity proxy."""

import threading

import requests
from airbyte_cdk.models import FailureType
from airbyte_cdk.sources.streams.http.requests_native_auth import Oauth2Authenticator
from airbyte_cdk.utils.datetime_helpers import ab_datetime_now
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_prefect.http.errors import failure
from source_prefect.settings.values import OAuth


class Token:
    """The token of one command, fetched with client credentials, and renewed when it has expired
    or is refused.

    The manifest's `OAuthAuthenticator` would fetch one for each stream and none for other
    questions, and its templates change a secret that looks like a number. So its base class is
    used here.
    """

    def __init__(self, client: OAuth) -> None:
        self._client = client
        more = {name: value for name in ("scope", "audience") if (value := getattr(client, name))}
        self._cdk = Oauth2Authenticator(
            client.token_url,
            client.client_id,
            client.client_secret,
            refresh_token="",
            grant_type="client_credentials",
            refresh_request_body=more,
        )
        self._renewing = threading.Lock()

    def sign(self, request: requests.PreparedRequest) -> None:
        """Put the token into a request. Raises AirbyteTracedException where there is none."""
        try:
            request.headers.update(self._cdk.get_auth_header())
        except Exception as error:  # The CDK raises whatever it meets.
            cause = error if isinstance(error, AirbyteTracedException) else error.__cause__ or error
            is_temporary = getattr(cause, "failure_type", None) == FailureType.transient_error
            response = getattr(cause, "response", None)
            answer = f"answered {response.status_code}" if response is not None else "gave no token"
            raise failure(
                f"{self._client.token_url} {answer}. Check token_url, client_id and client_secret of connection.oauth, "
                "and the scope or audience that the identity provider asks for.",
                FailureType.transient_error if is_temporary else FailureType.config_error,
            ) from None

    def renew(self, request: requests.PreparedRequest) -> None:
        """Put another token into a request whose token was refused."""
        with self._renewing:
            if request.headers.get("Authorization") == f"Bearer {self._cdk.access_token}":
                self._cdk.set_token_expiry_date(ab_datetime_now())
            self.sign(request)
