"""What tests, demo and benchmarks share: a throw-away Prefect server, ways to fill it, and the connector's process."""
