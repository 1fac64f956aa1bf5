from source_prefect.run import run

run()
