"""Where tables stand in the report's picture of lineage."""

from hypothesis import given
from hypothesis import strategies as st

from prefect_health.layout import place

TABLES = ["a", "b", "c", "d", "e"]
PAIRS = st.tuples(st.sampled_from(TABLES), st.sampled_from(TABLES))


def test_a_table_stands_right_of_what_it_is_made_from() -> None:
    graph = place([("a", "b"), ("b", "c"), ("d", "c")], ["a", "b", "c", "d"])
    assert {table: x for table, (x, _) in graph.places.items()} == {"a": 0, "b": 1, "c": 2, "d": 0}


def test_an_edge_over_a_column_has_a_row_of_its_own_there() -> None:
    graph = place([("a", "b"), ("b", "c"), ("a", "c")], ["a", "b", "c"])
    (start, (x, y), end) = graph.paths["a", "c"]
    assert (start, end) == (graph.places["a"], graph.places["c"])
    assert x == 1
    assert y != graph.places["b"][1]


def test_a_table_without_edges_has_a_place() -> None:
    assert place([], ["a"]).places == {"a": (0, 0)}
    assert place([], []).places == {}


@given(st.sets(PAIRS))
def test_no_two_tables_stand_in_one_place_even_in_circles(edges: set[tuple[str, str]]) -> None:
    graph = place(edges, TABLES)
    assert len(set(graph.places.values())) == len(TABLES)
    assert all(
        (path[0], path[-1]) == (graph.places[source], graph.places[destination])
        for (source, destination), path in graph.paths.items()
    )
    assert set(graph.paths) == edges
