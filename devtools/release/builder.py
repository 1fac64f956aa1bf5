"""The edition in pure YAML, for Airbyte's Connector Builder: `make builder` writes it to
`builder/manifest.yaml`.

`builder/edition.yaml` holds what is written by hand: what differs in the form, then how the
edition reads. The form, the columns and how a row gets them are made of the package's
`manifest.yaml`.
"""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import indent
from typing import Any

import yaml

from devtools.matrix.pythons import ROOT

PACKAGE = ROOT / "manifest.yaml"
EDITION = ROOT / "builder" / "edition.yaml"
MANIFEST = ROOT / "builder" / "manifest.yaml"
LONGEST_LINE = 120

Yaml = Mapping[str, Any]


def manifest() -> str:
    """The text of `builder/manifest.yaml`."""
    package = yaml.safe_load(PACKAGE.read_text())
    differences, _, by_hand = EDITION.read_text().partition("\n---\n")
    streams = [reference["$ref"].rpartition("/")[2] for reference in yaml.safe_load(by_hand)["streams"]]
    definitions = package["definitions"]
    json = dict(_json_columns(PACKAGE.read_text()))
    made = {
        "rows": {name: _row(definitions[name]["$parameters"], _columns(package, name), json[name]) for name in streams},
        "schema": definitions["schema"],
        "schemas": {name: {"$ref": "#/definitions/schema", "properties": _columns(package, name)} for name in streams},
    }
    spec = {
        "type": "Spec",
        "connection_specification": form(package, yaml.safe_load(differences)),
        "config_normalization_rules": {"$ref": "#/definitions/config_normalization_rules"},
    }
    return (
        "# Written by `make builder`: edition.yaml, then what is made of the package's manifest.yaml.\n"
        f"{by_hand}\n{indent(_dump(made), '  ')}\n{_dump({'spec': spec})}"
    )


def form(package: Yaml, differences: Yaml) -> Yaml:
    """The package's form with these differences, in its settings and each kind of connection."""
    whole = package["spec"]["connection_specification"]
    settings = _patched(whole["properties"], differences["settings"])
    connections = [
        _patched(option, differences[option["properties"]["type"]["const"]])
        for option in settings["connection"]["oneOf"]
    ]
    return {**whole, "properties": {**settings, "connection": {**settings["connection"], "oneOf": connections}}}


def _patched(value: Any, patch: Any) -> Any:
    """A JSON merge patch (RFC 7386): null removes a member."""
    if not isinstance(patch, Mapping):
        return patch
    old = value if isinstance(value, Mapping) else {}
    changed = {name: _patched(old.get(name), part) for name, part in patch.items() if part is not None}
    return {name: part for name, part in {**old, **changed}.items() if name not in patch or name in changed}


def _columns(package: Yaml, stream: str) -> Yaml:
    columns: Yaml = package["definitions"]["schemas"][stream]["properties"]
    return columns


def _json_columns(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each stream's columns of JSON text. Only the anchor of their type shows which they are."""
    definitions = _member(yaml.compose(text, yaml.SafeLoader), "definitions")
    json = _member(_member(definitions, "types"), "json")
    for stream, schema in _member(definitions, "schemas").value:
        yield stream.value, [name.value for name, kind in _member(schema, "properties").value if kind is json]


def _member(node: Any, name: str) -> Any:
    return next(value for key, value in node.value if key.value == name)


# How a row gets its columns


def _row(parameters: Yaml, columns: Yaml, json: Sequence[str]) -> Yaml:
    """One template, which changes the record in place.

    A component for each column would take ten times as long; a loop over an object's fields,
    twice.
    """
    objects = list(parameters.get("objects", ()))
    # Those of an inner object are not those of the one around it.
    fields = {
        name: [
            column.removeprefix(f"{name}_")
            for column in columns
            if column.startswith(f"{name}_")
            and not any(column.startswith(f"{inner}_") for inner in objects if inner.startswith(f"{name}_"))
        ]
        for name in objects
    }
    lines = [_object(name, objects, fields[name]) for name in objects]
    if objects:
        pairs = [f"'{name}_{field}': {name}['{field}']" for name in objects for field in fields[name]]
        lines += ["{{- record.update({", *(f"  {pair}," for pair in pairs), "}) or '' -}}"]
    if json:
        lines += [
            f"{{%- for name in {list(json)}",
            "if record[name] is defined and record[name] is not none and record[name] is not string -%}",
            "  {{- record.update({name: (record[name] | string).strip('\"')}) or '' -}}",
            "{%- endfor -%}",
        ]
    if path := parameters.get("ui_path"):
        lines.append(f"{{{{- record.update({{'ui_url': config['ui_url'] ~ '/{path}/' ~ record['id']}}) or '' -}}}}")
    lines += [
        "{%- if config['workspace_id'] -%}",
        "  {{- record.update({'account_id': config['account_id'], 'workspace_id': config['workspace_id']}) or '' -}}",
        "{%- endif -%}",
        "{{- record['id'] -}}",
    ]
    field = {"type": "AddedFieldDefinition", "path": ["id"], "value_type": "string", "value": "\n".join(lines)}
    return {"type": "AddFields", "fields": [field]}


def _object(name: str, objects: Sequence[str], fields: Sequence[str]) -> str:
    """A variable for a nested object, with all fields even where it or one of them is missing."""
    outer = next((other for other in objects if name.startswith(f"{other}_")), None)
    place = f"{outer}['{name.removeprefix(f'{outer}_')}']" if outer else f"record.pop('{name}', none)"
    nothing = "".join(f"\n  '{field}': none," for field in fields)
    return f"{{%- set {name} = dict({{{nothing}\n}}, **({place} or {{}})) -%}}"


# The text


class _Dumper(yaml.SafeDumper):
    """Writes a mapping on one line where it fits there: a schema is as long as it has columns."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the signature of PyYAML)
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        leaves = [part for pair in node.value for part in pair]
        node.flow_style = all(_is_leaf(leaf) for leaf in leaves) and len(repr(mapping)) < LONGEST_LINE - 20
        return node

    def represent_text(self, text: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", text, "|" if "\n" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def _is_leaf(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) or (isinstance(node, yaml.SequenceNode) and bool(node.flow_style))


def _dump(data: Yaml) -> str:
    # The largest width in which no line is too long after it is moved to the right.
    width = LONGEST_LINE - 10
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width, default_flow_style=None)


def main() -> None:
    MANIFEST.write_text(manifest())


if __name__ == "__main__":
    main()
