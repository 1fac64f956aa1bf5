"""The edition in pure YAML, for Airbyte's Connector Builder: `make builder` writes it to `builder/manifest.yaml`.

`builder/edition.yaml` holds what is written by hand: what differs in the form, then how the edition reads. Form and
columns are those of the package's `manifest.yaml`.
"""

from collections.abc import Mapping
from textwrap import indent
from typing import Any

import yaml

from devtools.pythons import ROOT

EDITION = ROOT / "builder" / "edition.yaml"
MANIFEST = ROOT / "builder" / "manifest.yaml"
LONGEST_LINE = 120

Yaml = Mapping[str, Any]


def manifest() -> str:
    """The text of `builder/manifest.yaml`."""
    package = yaml.safe_load((ROOT / "manifest.yaml").read_text())
    differences, _, by_hand = EDITION.read_text().partition("\n---\n")
    streams = [reference["$ref"].rpartition("/")[2] for reference in yaml.safe_load(by_hand)["streams"]]
    schemas = {name: {"$ref": "#/definitions/schema", "properties": columns(package, name)} for name in streams}
    spec = {
        "type": "Spec",
        "connection_specification": form(package, yaml.safe_load(differences)),
        "config_normalization_rules": {"$ref": "#/definitions/config_normalization_rules"},
    }
    return (
        "# Written by `make builder`: edition.yaml, then the columns and the form of the package's manifest.yaml.\n"
        f"{by_hand}\n"
        f"{indent(_dump({'schema': package['definitions']['schema'], 'schemas': schemas}), '  ')}\n"
        f"{_dump({'spec': spec})}"
    )


def columns(package: Yaml, stream: str) -> Yaml:
    """The columns of a stream of the package."""
    properties: Yaml = package["definitions"]["schemas"][stream]["properties"]
    return properties


def form(package: Yaml, differences: Yaml) -> Yaml:
    """The package's form with these differences: of its settings, and of each kind of connection."""
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


class _Dumper(yaml.SafeDumper):
    """Writes a mapping on one line where it fits there: a schema is as long as it has columns."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the signature of PyYAML)
        return True

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        node = super().represent_mapping(tag, mapping, flow_style)
        leaves = [part for pair in node.value for part in pair]
        node.flow_style = all(_is_leaf(leaf) for leaf in leaves) and len(repr(mapping)) < LONGEST_LINE - 20
        return node


def _is_leaf(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) or (isinstance(node, yaml.SequenceNode) and bool(node.flow_style))


def _dump(data: Yaml) -> str:
    return yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=LONGEST_LINE, default_flow_style=None
    )


def main() -> None:
    MANIFEST.write_text(manifest())


if __name__ == "__main__":
    main()
