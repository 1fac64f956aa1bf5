{{ prefect_source.reliability('day') }}
