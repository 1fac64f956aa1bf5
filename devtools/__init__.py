"""What tests, demo and benchmarks share: a throw-away server, rows for it, and the connector."""
