from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from source_prefect.records.tag_edges import Edge, Table, declared, edge_id, edges, split_name

# Examples


@pytest.mark.parametrize(
    ("tag", "sources", "destinations"),
    [
        ("om-source:crm.public.customers", ["crm.public.customers"], []),
        ("om-destination:warehouse.mart.customers", [], ["warehouse.mart.customers"]),
        ("source:crm.public.customers", ["crm.public.customers"], []),
        ("destination:warehouse.mart.customers", [], ["warehouse.mart.customers"]),
        # The prefix in any case, with blanks around; the name keeps its case.
        ("OM-Source: Warehouse.Sales.Orders ", ["Warehouse.Sales.Orders"], []),
        ("  Destination :\tWarehouse.Sales.Orders\n", [], ["Warehouse.Sales.Orders"]),
        # The name is everything behind the first colon.
        ("om-source:postgres://prod/warehouse", ["postgres://prod/warehouse"], []),
        ("source::a.b.c", [":a.b.c"], []),
        ("om-source:source:a.b.c", ["source:a.b.c"], []),
        ("om-source:..a. b .c.", ["..a. b .c."], []),
        # No tag of a table.
        ("om-source:", [], []),
        ("om-source: \t", [], []),
        ("om-source", [], []),
        ("source", [], []),
        ("", [], []),
        (":a.b.c", [], []),
        ("open-source:a.b.c", [], []),
        ("data-source:a.b.c", [], []),
        ("resource:a.b.c", [], []),
        ("sources:a.b.c", [], []),
        ("source=a.b.c", [], []),
        ("om source:a.b.c", [], []),
        ("om-om-source:a.b.c", [], []),
        ("team:source:a.b.c", [], []),
    ],
)
def test_a_tag_declares_a_table_or_nothing(tag: str, sources: list[str], destinations: list[str]) -> None:
    found = declared([tag])
    assert (list(found.sources), list(found.destinations)) == (sources, destinations)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("db.sales.orders", Table(None, "db", "sales", "orders")),
        ("Prod.Db.Sales.Orders", Table("Prod", "Db", "Sales", "Orders")),
        ("postgres:5432.db.sales.orders", Table("postgres:5432", "db", "sales", "orders")),
        # OpenMetadata's way to write a part that holds a dot, or a quote.
        ('"my.service".db.sales.orders', Table('"my.service"', "db", "sales", "orders")),
        ('db.sales."a ""b"".c"', Table(None, "db", "sales", '"a ""b"".c"')),
        # Neither three parts nor four.
        ("orders", Table()),
        ("sales.orders", Table()),
        ("a.b.c.d.e", Table()),
        ("", Table()),
        # Dots and quotes in odd places.
        ("db..orders", Table()),
        (".db.sales.orders", Table()),
        ("db.sales.orders.", Table()),
        ("...", Table()),
        ('db."sales.orders', Table()),
        ('db.sa"les.orders', Table()),
        ('db."".orders', Table()),
        (None, Table()),
    ],
)
def test_a_name_is_split_where_it_has_three_or_four_parts(name: str | None, parts: Table) -> None:
    assert split_name(name) == parts


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        # Every source with every destination.
        (
            ["om-source:a", "om-source:b", "om-destination:x", "om-destination:y"],
            [Edge("a", "x", "om"), Edge("a", "y", "om"), Edge("b", "x", "om"), Edge("b", "y", "om")],
        ),
        # A side without the other is kept.
        (["om-source:a", "source:b"], [Edge("a", None, "om"), Edge("b", None, "legacy")]),
        (["destination:x"], [Edge(None, "x", "legacy")]),
        # The format is that of the tags that make the edge.
        (
            ["om-source:a", "source:b", "destination:x"],
            [Edge("a", "x", "mixed"), Edge("b", "x", "legacy")],
        ),
        # The same table in both forms counts once, and both forms make its edges.
        (["om-source:a", "source:a", "om-destination:x"], [Edge("a", "x", "mixed")]),
        # In the same form, too; names that differ in case are two.
        (["om-source:a", "OM-SOURCE: a ", "om-source:A"], [Edge("a", None, "om"), Edge("A", None, "om")]),
        # A table may be read and written by one pipeline.
        (["om-source:a", "om-destination:a"], [Edge("a", "a", "om")]),
        (["nightly", "team:data"], []),
        ([], []),
    ],
)
def test_edges(tags: list[str], expected: list[Edge]) -> None:
    assert list(edges(tags)) == expected


def test_an_id_is_the_same_on_every_machine_and_in_every_version() -> None:
    flow, deployment = "1c594a3c-bb4a-496c-adbb-6df4169608ff", "8c111520-0940-4508-a1e9-3b564c52426e"
    edge = Edge("crm_eu.public.customers", "warehouse.raw.customers", "om")
    assert edge_id(flow, deployment, edge) == "26791bdf-1252-51a3-84b6-e91617a3c290"
    assert edge_id(flow, None, edge._replace(destination=None)) == "a49597cc-74b3-5dfe-a8eb-13058ae44b15"


def test_an_edge_keeps_its_id_when_its_tags_move_to_the_other_form() -> None:
    assert edge_id("f", "d", Edge("a", "b", "legacy")) == edge_id("f", "d", Edge("a", "b", "om"))


# Properties

PREFIXES = {
    "om-source": ("source", "om"),
    "source": ("source", "legacy"),
    "om-destination": ("destination", "om"),
    "destination": ("destination", "legacy"),
}

blanks = st.text(" \t\n", max_size=2)
names = st.text(min_size=1, max_size=12).map(str.strip).filter(bool)
noise = st.one_of(
    st.sampled_from(["source", "resource:a.b.c", "om-source:", "destination: ", "open-source", "team:source:x"]),
    st.text().filter(lambda tag: tag.partition(":")[0].strip().lower() not in PREFIXES),
)
anything = st.lists(st.one_of(st.text(), noise, st.none(), st.integers(), st.lists(st.text(), max_size=2)))


@st.composite
def written(draw: st.DrawFn) -> tuple[str, str, str, str]:
    """A tag of a table: its text, side, form and name."""
    prefix = draw(st.sampled_from(sorted(PREFIXES)))
    capitals = draw(st.lists(st.booleans(), min_size=len(prefix), max_size=len(prefix)))
    cased = "".join(letter.upper() if capital else letter for letter, capital in zip(prefix, capitals, strict=True))
    name = draw(names)
    tag = f"{draw(blanks)}{cased}{draw(blanks)}:{draw(blanks)}{name}{draw(blanks)}"
    return (tag, *PREFIXES[prefix], name)


def in_order(values: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


@given(anything)
@example(["om-source:a\ud800", "İ-source:a", "om-source:\x00"])
def test_no_tag_list_is_an_error(tags: list[Any]) -> None:
    for edge in edges(tags):
        assert edge.source or edge.destination
        split_name(edge.source)
        split_name(edge.destination)


@given(st.lists(st.one_of(written(), noise)))
def test_what_was_written_is_declared_once_in_its_order_among_any_other_tags(tags: list[Any]) -> None:
    tables = [tag for tag in tags if isinstance(tag, tuple)]
    found = declared([tag[0] if isinstance(tag, tuple) else tag for tag in tags])
    for side, result in (("source", found.sources), ("destination", found.destinations)):
        assert list(result) == in_order([name for _, of, _, name in tables if of == side])
        for name, forms in result.items():
            assert forms == {form for _, of, form, other in tables if (of, other) == (side, name)}


@given(st.lists(written()))
def test_nothing_that_is_declared_is_lost_and_no_edge_comes_twice(tags: list[tuple[str, str, str, str]]) -> None:
    found = list(edges(tag for tag, *_ in tags))
    pairs = [(edge.source, edge.destination) for edge in found]
    assert len(pairs) == len(set(pairs))
    assert {source for source, _ in pairs if source} == {name for _, side, _, name in tags if side == "source"}
    assert {name for _, name in pairs if name} == {name for _, side, _, name in tags if side == "destination"}


@given(st.lists(written(), min_size=1))
def test_the_format_tells_whether_older_tags_take_part(tags: list[tuple[str, str, str, str]]) -> None:
    for edge in edges(tag for tag, *_ in tags):
        forms = {form for _, side, form, name in tags if getattr(edge, side) == name}
        assert edge.tag_format == ("mixed" if forms == {"om", "legacy"} else forms.pop())


@given(st.one_of(st.text(), st.text(alphabet='ab."', max_size=12)))
def test_parts_are_all_of_the_name_or_none(name: str) -> None:
    parts = split_name(name)
    present = [part for part in parts if part is not None]
    assert parts == Table() or ".".join(present) == name
    assert all(parts[1:]) or parts == Table()


plain_parts = st.text(min_size=1, max_size=5).filter(lambda part: not {".", '"'} & set(part))


@given(st.lists(plain_parts, max_size=6))
def test_three_or_four_plain_parts_are_always_split(parts: list[str]) -> None:
    without_service: list[str | None] = [None] * (len(parts) == 3)
    expected = Table(*without_service, *parts) if len(parts) in (3, 4) else Table()
    assert split_name(".".join(parts)) == expected


maybe = st.one_of(st.none(), st.text(max_size=3))
owned_edges = st.tuples(maybe, maybe, st.builds(Edge, source=maybe, destination=maybe, tag_format=st.just("om")))


@given(owned_edges, owned_edges)
@example(("f", "d", Edge("a", 'b", "c', "om")), ("f", "d", Edge('a", "b', "c", "om")))
@example(("f", None, Edge("a", "b", "om")), ("f", "null", Edge("a", "b", "om")))
@example(("f", "d", Edge("a", None, "om")), ("f", "d", Edge(None, "a", "om")))
@example(("f", "d", Edge("\ud800", None, "om")), ("f", "d", Edge("\\ud800", None, "om")))
def test_ids_are_the_same_only_for_the_same(one: tuple[Any, Any, Edge], other: tuple[Any, Any, Edge]) -> None:
    assert (edge_id(*one) == edge_id(*other)) == (one == other)
