"""How often each flow succeeds and how long it takes, with pandas and nothing stored.

pip install airbyte .
python -m examples.to_pandas
"""

import pandas as pd

from examples.connect import prefect

source = prefect()

# Keep hold of a dataset while it is iterated: it closes when nothing refers to it any more.
flows = source.get_records("flows")
flow_runs = source.get_records("flow_runs")

names = pd.DataFrame(flows, columns=["id", "name"]).set_index("id")["name"]
runs = pd.DataFrame(flow_runs, columns=["flow_id", "state_type", "total_run_time"])

# A cancelled run is neither a success nor a failure.
ended = runs[runs["state_type"].isin(["COMPLETED", "FAILED", "CRASHED"])].assign(
    flow=lambda run: run["flow_id"].map(names),
    succeeded=lambda run: run["state_type"] == "COMPLETED",
)
print(
    ended.groupby("flow")
    .agg(runs=("succeeded", "size"), success_rate=("succeeded", "mean"), median_seconds=("total_run_time", "median"))
    .sort_values(["success_rate", "runs"])
    .round(2)
)
