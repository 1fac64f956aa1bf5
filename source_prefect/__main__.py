from source_prefect.cli import run

run()
