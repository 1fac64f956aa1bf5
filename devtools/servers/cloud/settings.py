"""What a stand-in for Cloud can be told to be: plan, workspaces, keys, and its ways by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from uuid import uuid4

ACCOUNT_ID = "f5b54a51-a98c-44cf-bb68-a676332e7d12"

# The longest time that one request for events may span, on every plan.
LONGEST_SPAN = timedelta(days=14)

LONGEST_BODY = 5 * 2**20


@dataclass(frozen=True)
class Plan:
    """What an account pays for."""

    name: str
    requests_per_minute: int
    retention_days: int

    @property
    def retention(self) -> timedelta:
        # No longer than the calendar reaches back.
        return timedelta(days=min(self.retention_days, 365_000))


HOBBY = Plan("HOBBY", 625, 7)
STARTER = Plan("STARTER", 1_250, 7)
TEAM = Plan("TEAM", 2_500, 14)
PRO = Plan("PRO", 5_000, 30)


@dataclass(frozen=True)
class Workspace:
    """A workspace, whose rows a real Prefect server holds."""

    server_url: str
    name: str = "Production"
    workspace_id: str = field(default_factory=lambda: str(uuid4()))
    account_id: str = ACCOUNT_ID
    account_name: str = "Corner Shop"

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"accounts/{self.account_id}/workspaces/{self.workspace_id}"

    @property
    def ui_url(self) -> str:
        """Its address in the browser."""
        return f"https://app.prefect.cloud/account/{self.account_id}/workspace/{self.workspace_id}"


@dataclass(frozen=True)
class Key:
    """An API key: of a user (`pnu_`) or of a service account (`pnb_`)."""

    text: str = "pnu_0123456789abcdefghijklmnopqrstuvwxyz"
    # The ids of the workspaces that its owner is a member of; None means of all.
    workspace_ids: Sequence[str] | None = None
    # Whether its owner may read the account and its limits. Who may on Prefect Cloud is not
    # documented.
    reads_account: bool = True
    # Whether it may list its workspaces. Whether a service account may is not documented.
    lists_workspaces: bool = True

    @property
    def is_of_service_account(self) -> bool:
        return self.text.startswith("pnb_")

    def reads(self, workspace: Workspace) -> bool:
        return self.workspace_ids is None or workspace.workspace_id in self.workspace_ids


class Limits(Enum):
    """What becomes of a request for over 14 days of events, or for older ones than are kept."""

    REFUSE = "refuse"
    CLAMP = "clamp"
    NONE = "none"


@dataclass(frozen=True)
class Settings:
    """The ways of a stand-in, each with a switch. Those documented or seen are on by default."""

    plan: Plan = PRO
    # What time it is there, in UTC.
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    # Columns that Prefect Server does not have.
    more_fields: bool = True
    event_limits: Limits = Limits.REFUSE
    # The status of a refused request for events: 422 or 400.
    refusal: int = 422
    # The last page of events names a next page, whose address answers 500.
    dangling_token: bool = True
    # Events are dated +00:00 instead of Z.
    offset_in_times: bool = True
    # END_TIME_DESC lists the unfinished runs before the others; a server on SQLite lists them
    # after.
    unfinished_first: bool = True
    rate_limit: bool = True
    # The length of a minute of the rate limit, in seconds.
    minute: float = 60.0
    # Tables that the plan does not have, such as automations: 403.
    missing_tables: frozenset[str] = frozenset()
    # Accounts that take requests through PrivateLink only: 403.
    private_accounts: frozenset[str] = frozenset()
