{{ prefect_source.reliability('month') }}
