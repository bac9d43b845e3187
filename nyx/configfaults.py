"""What is wrong with a configuration: a line for each fault with its place, what is allowed and what may be meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from nyx.configfile import Fault, KeyPath, Parsed, dotted, printable
from nyx.errors import ConfigError

MOST_SHOWN = 20
Schema = Mapping[str, Any]
Model = TypeVar("Model", bound=BaseModel)


def known_keys(schema: Schema, tag: str | None = None) -> dict[str, Schema]:
    """The JSON schema of every key by its dotted name. tag: which member of a tagged union, None for all of them."""

    def walk(node: Schema, name: str) -> Iterator[tuple[str, Schema]]:
        if "discriminator" in node:
            mapping = node["discriminator"]["mapping"]
            for ref in [mapping[tag]] if tag in mapping else mapping.values():
                yield from walk({"$ref": ref}, name)
            return
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        if "properties" not in node:
            yield name, node
        for part, inner in node.get("properties", {}).items():
            yield from walk(inner, f"{name}.{part}" if name else part)

    return dict(walk(schema, ""))


def alternatives(node: Schema) -> list[Schema]:
    """The types a key may have."""
    return list(node.get("anyOf", [node]))


def validated(model: type[Model], schema: Schema, parsed: Parsed, source: str) -> Model:
    """The model (of that JSON schema) of a configuration's values. Raises ConfigError with a line for every fault.

    What is faulty is taken out and the rest is looked at again, so that no fault hides another one.
    """
    faults = list(parsed.faults)
    gone = [path for fault in faults for path in fault.paths]
    while True:
        for path in gone:
            _remove(parsed.tree, path)
        try:
            config = model.model_validate(parsed.tree)
        except ValidationError as error:
            found = list(_Words(schema, parsed, source).faults(error))
        else:
            if not faults:
                return config
            break
        faults += [fault for fault in found if not any(_touches(path, gone) for path in fault.paths)]
        gone = [path for fault in found for path in fault.paths] + gone
        if not any(_holder(parsed.tree, path) for path in gone):
            break
    place = {path: i for i, path in enumerate(parsed.origins)}
    faults.sort(key=lambda fault: place.get(_written(fault.paths[0] if fault.paths else (), place), len(place)))
    lines = [fault.text for fault in faults[:MOST_SHOWN]]
    if len(faults) > MOST_SHOWN:
        lines.append(f"{source}: and {len(faults) - MOST_SHOWN} more faults")
    raise ConfigError("\n".join(lines))


def suggest(name: str, names: list[str]) -> str:
    """What to append to a message when one of the names is close to `name`."""
    close = difflib.get_close_matches(name[:64], names, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _written(path: KeyPath, origins: Mapping[KeyPath, object]) -> KeyPath:
    """The innermost part of the path that has a place of its own; () when there is none."""
    return next((path[:n] for n in range(len(path), 0, -1) if path[:n] in origins), ())


def _touches(path: KeyPath, paths: list[KeyPath]) -> bool:
    """Whether one of the paths is the path itself, a section around it or a part of it."""
    return any(path[: len(other)] == other[: len(path)] for other in paths)


def _holder(tree: dict[str, Any], path: KeyPath) -> tuple[dict[Any, Any], Any] | None:
    """The innermost dict on the path, and the key in it that leads on (for a place in a list, that of the list)."""
    node: Any = tree
    for i, part in enumerate(path):
        if not isinstance(node, dict) or part not in node:
            return None
        if i == len(path) - 1 or not isinstance(node[part], dict):
            return node, part
        node = node[part]
    return None


def _remove(tree: dict[str, Any], path: KeyPath) -> None:
    if holder := _holder(tree, path):
        del holder[0][holder[1]]


class _Words:
    """Turns pydantic's errors into faults."""

    def __init__(self, schema: Schema, parsed: Parsed, source: str) -> None:
        self.schema, self.parsed, self.source = schema, parsed, source
        section = parsed.tree.get("model")
        self.kind = section.get("kind") if isinstance(section, dict) else None
        self.keys = known_keys(self.schema, str(self.kind))

    def faults(self, error: ValidationError) -> Iterator[Fault]:
        """A fault for each error. Suggestions take time to find: only the first MOST_SHOWN have one."""
        for i, item in enumerate(error.errors(include_url=False)):
            path = self._path(item["loc"])
            if item["type"] == "conflict":
                for names, text in item.get("ctx", {})["faults"]:
                    yield self._fault(tuple((*path, *name.split(".")) for name in names), text)
            elif item["type"].startswith("union_tag"):
                kinds = ", ".join(self.schema["properties"]["model"]["discriminator"]["mapping"])
                text = f"{_shown(self.kind)} is not one of {kinds}"
                yield Fault(self._line((*path, "kind"), text), (path,))
            elif item["type"] == "extra_forbidden":
                yield self._fault((path,), self._unknown(path) if i < MOST_SHOWN else "unknown key")
            else:
                yield self._fault((path,), f"{_shown(item['input'])} is not {_allowed(self._schema_at(path))}")

    def _path(self, loc: tuple[int | str, ...]) -> KeyPath:
        """Where an error is; pydantic names the member of the union after "model"."""
        return (loc[0], *loc[2:]) if loc[:1] == ("model",) else loc

    def _fault(self, paths: tuple[KeyPath, ...], text: str) -> Fault:
        first = next((path for path in paths if path in self.parsed.origins), paths[0])
        return Fault(self._line(first, text), (first, *paths))

    def _line(self, path: KeyPath, text: str) -> str:
        origins = self.parsed.origins
        return f"{origins.get(_written(path, origins), self.source)}: {dotted(path)}: {text}"

    def _schema_at(self, path: KeyPath) -> Schema | None:
        nodes: list[Schema] = [self.schema]
        for part in path:
            nodes = [inner for node in nodes for one in self._resolved(node) for inner in _inside(one, part)]
        return nodes[0] if nodes else None

    def _resolved(self, node: Schema) -> list[Schema]:
        """What a node stands for: itself, what it refers to, or each of its alternatives."""
        if "discriminator" in node:
            mapping = node["discriminator"]["mapping"]
            refs = [mapping[self.kind]] if self.kind in mapping else mapping.values()
            return [one for ref in refs for one in self._resolved({"$ref": ref})]
        if "$ref" in node:
            return self._resolved(self.schema["$defs"][node["$ref"].rpartition("/")[2]])
        return [one for inner in node["anyOf"] for one in self._resolved(inner)] if "anyOf" in node else [node]

    def _unknown(self, path: KeyPath) -> str:
        name = str(path[-1])
        if ".".join(map(str, path)) in known_keys(self.schema):
            return f"a model of kind {self.kind} has no such key"
        above = self._schema_at(path[:-1]) if len(path) > 1 else self.schema
        here = sorted({key for one in self._resolved(above or {}) for key in one.get("properties", {})})
        elsewhere = {key.rpartition(".")[2]: key for key in self.keys}
        close = suggest(name, here)
        if name in elsewhere:
            return f"unknown key; did you mean {elsewhere[name]}?"
        if not close:
            found = difflib.get_close_matches(name[:64], elsewhere, n=1, cutoff=0.75)
            close = f"; did you mean {elsewhere[found[0]]}?" if found else ""
        return "unknown key" + (close or f"; keys here are {', '.join(here)}")


def _inside(node: Schema, part: str | int) -> list[Schema]:
    """The schema of a key in a section, or of a place in a list."""
    if isinstance(part, str):
        return [node["properties"][part]] if part in node.get("properties", {}) else []
    if part < len(node.get("prefixItems", [])):
        return [node["prefixItems"][part]]
    return [node["items"]] if isinstance(node.get("items"), Mapping) else []


def _shown(value: object) -> str:
    if isinstance(value, str):
        return f"'{printable(value)}'"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    try:
        return printable(repr(list(value) if isinstance(value, tuple) else value))
    except ValueError:  # Python prints no whole number of more than 4300 digits
        return f"this {type(value).__name__}"


def _allowed(node: Schema | None) -> str:
    """What a JSON schema admits, in words."""
    if node is None or "properties" in node:
        return "a section of keys"
    return " or ".join(map(_allowed_type, alternatives(node)))


def _allowed_type(node: Schema) -> str:
    kind, limits = node.get("type"), _limits(node)
    if "enum" in node:
        return "one of " + ", ".join(map(str, node["enum"]))
    if "const" in node:
        return str(node["const"])
    if kind in ("integer", "number"):
        return ("a whole number" if kind == "integer" else "a number") + limits
    if kind == "array":
        items = node.get("prefixItems", [])
        size = len(items) or "one or more"
        return f"a list of {size}, each {_allowed(items[0] if items else node.get('items'))}"
    if kind == "string":
        return f"Unicode text of {node['title'] if 'pattern' in node else limits.strip() + ' characters'}"
    return {"boolean": "true or false", "null": "null"}.get(str(kind), "a section of keys")


def _limits(node: Schema) -> str:
    words = {"minimum": "at least", "minLength": "at least", "exclusiveMinimum": "above"}
    words |= {"maximum": "at most", "maxLength": "at most", "exclusiveMaximum": "below"}
    found = " and ".join(f"{word} {_number(node[key])}" for key, word in words.items() if key in node)
    return f" {found}" if found else ""


def _number(value: float) -> float:
    """1.0 as 1: pydantic before 2.11 keeps a limit as a float where that is the type of the key."""
    return int(value) if value == int(value) else value
