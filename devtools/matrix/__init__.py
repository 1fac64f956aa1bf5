"""The connector on other versions of Python, Prefect and the CDK."""
