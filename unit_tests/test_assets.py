import pytest

from source_prefect.records.asset_keys import AssetKey, split_key


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("postgres://prod/warehouse/mart/customers", AssetKey("postgres", ["prod", "warehouse", "mart", "customers"])),
        ("s3://lake/orders.parquet", AssetKey("s3", ["lake", "orders.parquet"])),
        ("file://orders/", AssetKey("file", ["orders"])),
        ("https://lake/s3://raw", AssetKey("https", ["lake", "s3:", "raw"])),
        ("orders", AssetKey(None, ["orders"])),
        ("", AssetKey(None, [])),
    ],
)
def test_a_key_has_a_scheme_and_parts(key: str, expected: AssetKey) -> None:
    assert split_key(key) == expected


def test_the_parts_make_the_name_of_a_table() -> None:
    assert split_key("postgres://prod/warehouse/mart/customers").name == "prod.warehouse.mart.customers"
