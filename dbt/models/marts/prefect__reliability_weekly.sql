{{ prefect_source.reliability('week') }}
