"""What the files of dbt/models say of the models."""

from pathlib import Path

import yaml

MODELS = Path(__file__).resolve().parents[2] / "dbt" / "models"


def described(folder: str) -> dict[str, list[str]]:
    """The columns of each model of a layer, as its file lists them."""
    (file,) = (MODELS / folder).glob(f"_{folder}.yml")
    models = yaml.safe_load(file.read_text())["models"]
    return {model["name"]: [column["name"] for column in model["columns"]] for model in models}


MARTS = described("marts")
