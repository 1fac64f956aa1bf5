"""Any config at all, right, wrong or absurd, for hypothesis."""

from hypothesis import strategies as st

API_KEY = "pnu_0123456789+abcdef/="
UUID = "01234567-89ab-cdef-0123-456789abcdef"
NOBODY_LISTENS = "http://127.0.0.1:9/api"

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CONNECTION = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["cloud", "server"]) | ANYTHING,
        "api_key": st.just(API_KEY) | ANYTHING,
        "account_id": st.just(UUID) | ANYTHING,
        "workspace_id": st.just(UUID) | ANYTHING,
        "workspaces": st.sampled_from([["all"], [UUID]]) | ANYTHING,
        "workspace": st.fixed_dictionaries(
            {"choice": st.sampled_from(["only", "one", "several", "all"]) | ANYTHING},
            optional={"address": st.just(UUID) | ANYTHING, "addresses": st.just([UUID]) | ANYTHING},
        ),
        "api_url": st.just(NOBODY_LISTENS) | ANYTHING,
        "auth_string": ANYTHING,
        "custom_headers": ANYTHING,
        "ca_certificate": ANYTHING,
        "verify_tls": ANYTHING,
    },
)
CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "connection": CONNECTION | ANYTHING,
        "start_date": st.just("2026-01-01") | ANYTHING,
        "lookback_window": st.just("P2D") | ANYTHING,
        "page_size": ANYTHING,
        "num_workers": st.integers(0, 3) | ANYTHING,
        "max_requests_per_minute": ANYTHING,
    },
)
