"""One request to Prefect, and what its answer means."""
