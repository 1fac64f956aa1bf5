"""The models in Snowflake's and BigQuery's SQL, where they never ran: sqlglot can parse them."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import jinja2
import pytest
import sqlglot
import yaml

DBT = Path(__file__).resolve().parents[1] / "dbt"
MODELS = sorted((DBT / "models").rglob("*.sql"))
PROJECT = yaml.safe_load((DBT / "dbt_project.yml").read_text())
VARIABLES = PROJECT["vars"]["prefect_source"]
# What is there of the tables of a sync, and where.
SYNCED: dict[str, dict[str, Any]] = {
    "everything": {"look_at_tables": False},
    "nothing": {},
    "two connections": {"look_at_tables": False, "prefect_schemas": ["sales", "finance"]},
}
TYPES = {
    "snowflake": {"string": "varchar", "bigint": "bigint", "boolean": "boolean", "int": "integer"},
    "bigquery": {"string": "string", "bigint": "int64", "boolean": "bool", "int": "int64"},
}

# What DuckDB and PostgreSQL understand, and neither of these does.
FOREIGN = re.compile(
    r"at time zone|extract\(epoch|json_array_elements|interval '1 \w+'|quantile_disc|(?<!null )as json\)|"
    r"unnest\(from_json",
    re.IGNORECASE,
)


class Relation(NamedTuple):
    """A table of a sync."""

    database: str
    schema: str
    identifier: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.identifier}"


class _ReturnedError(Exception):
    """What dbt's `return` does: it ends a macro with a value that is no text."""


class Package:
    """The macros and models as dbt renders them for an adapter, without a database."""

    def __init__(self, dialect: str, variables: Mapping[str, Any]) -> None:
        self.dialect = dialect
        self.environment = jinja2.Environment(  # noqa: S701 - it renders SQL
            loader=jinja2.FileSystemLoader(DBT), extensions=["jinja2.ext.do"], undefined=jinja2.StrictUndefined
        )
        self.returned: list[Any] = []
        self.package = SimpleNamespace()
        self.context: dict[str, Any] = {
            "prefect_source": self.package,
            "adapter": SimpleNamespace(dispatch=self.dispatch, quote=self.quote, get_relation=lambda *_: None),
            "api": SimpleNamespace(Relation=SimpleNamespace(create=Relation)),
            "dbt": SimpleNamespace(**{f"type_{name}": lambda kind=kind: kind for name, kind in TYPES[dialect].items()}),
            "var": {**VARIABLES, **variables}.__getitem__,
            "ref": str,
            "source": lambda _, table: Relation("warehouse", "prefect", table),
            "target": SimpleNamespace(type=dialect),
            "execute": True,
            "config": lambda **_: "",
            "return": self.give_back,
        }  # fmt: skip
        for file in sorted((DBT / "macros").glob("*.sql")):
            module = self.environment.get_template(f"macros/{file.name}").make_module(self.context)
            for name, macro in vars(module).items():
                if callable(macro) and not name.startswith("_"):
                    setattr(self.package, name, self.calling(macro))

    def dispatch(self, name: str, _package: str) -> Callable[..., Any]:
        macros = vars(self.package)
        found: Callable[..., Any] = macros.get(f"{self.dialect}__{name}", macros[f"default__{name}"])
        return found

    def quote(self, name: str) -> str:
        return f"`{name}`" if self.dialect == "bigquery" else f'"{name}"'

    def give_back(self, value: Any) -> str:
        self.returned.append(value)
        raise _ReturnedError

    def calling(self, macro: Callable[..., str]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            try:
                return macro(*arguments, **named)
            except _ReturnedError:
                return self.returned.pop()

        return call

    def sql(self, model: Path) -> str:
        return self.environment.get_template(str(model.relative_to(DBT))).render(self.context)


@pytest.fixture(
    scope="module", params=[(dialect, synced) for dialect in sorted(TYPES) for synced in SYNCED], ids=" ".join
)
def package(request: pytest.FixtureRequest) -> Package:
    dialect, synced = request.param
    return Package(dialect, SYNCED[synced])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.stem)
def test_sqlglot_reads_each_model(package: Package, model: Path) -> None:
    sql = package.sql(model)
    (statement,) = sqlglot.parse(sql, dialect=package.dialect)
    assert statement is not None
    assert "Command" not in type(statement).__name__
    assert list(_foreign(sql)) == []


def _foreign(sql: str) -> Iterator[str]:
    for found in FOREIGN.finditer(sql):
        yield found[0]


def test_a_foreign_expression_is_noticed() -> None:
    assert list(_foreign("select a at time zone 'UTC', extract(epoch from b)")) == ["at time zone", "extract(epoch"]
