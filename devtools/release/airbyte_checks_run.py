"""Runs Airbyte's checks on source-prefect in the monorepo that is the working directory, and
prints them as JSON.

It is run by the Python of the environment that has the checks in it (`airbyte_checks.py`).
"""

import json

from airbyte_ops_mcp.connector_ops.utils import Connector
from airbyte_ops_mcp.connector_qa.checks import ENABLED_CHECKS
from airbyte_ops_mcp.metadata_validator import PRE_UPLOAD_VALIDATORS, ValidatorOptions, validate_and_load

# What these ask for is on Airbyte's servers, GitHub and Docker Hub.
ON_THE_NETWORK = {
    "CheckDocumentationLinks": "asks for every address in the documentation",
    "CheckVersionIncrement": "compares the version with the one on GitHub",
    "ValidateMetadata": "asks Docker Hub for the base image and for released versions",
}


class NewConnector(Connector):  # type: ignore[misc]  # untyped from here
    """Not in the catalog yet: asks no registry, and keeps the rules for certified connectors."""

    is_released = False
    ab_internal_sl = 300


def main() -> None:
    connector = NewConnector("source-prefect")
    results: dict[str, tuple[str, str]] = {}
    for check in ENABLED_CHECKS:
        name = type(check).__name__
        if name in ON_THE_NETWORK:
            results[name] = ("NETWORK", ON_THE_NETWORK[name])
        else:
            result = check.run(connector)
            results[name] = (result.status.name, result.message)
    options = ValidatorOptions(docs_path=str(connector.documentation_file_path), disable_dockerhub_checks=True)
    metadata, error = validate_and_load(connector.metadata_file_path, PRE_UPLOAD_VALIDATORS, options)
    results["ValidateMetadata, without Docker Hub"] = ("PASSED" if metadata else "FAILED", str(error or ""))
    print(json.dumps(results))


if __name__ == "__main__":
    main()
