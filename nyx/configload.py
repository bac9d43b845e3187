"""A configuration from its layers: defaults, over them the file, the environment, and the command line."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nyx import configfile
from nyx.config import Config, flat, schema
from nyx.configfaults import Schema, alternatives, known_keys, suggest, validated
from nyx.configfile import Fault, KeyPath, Parsed, dotted, printable
from nyx.configfit import give_way
from nyx.errors import ConfigError, UsageError

OTHER_VARIABLES = frozenset(
    {"NYX_CHECK", "NYX_VALIDATION", "NYX_CPU_KERNELS", "NYX_NUM_THREADS", "NYX_CACHE_DIR"}
    | {"NYX_VULKAN", "NYX_SYNC_AUDIT", "NYX_REQUIRE_VULKAN", "NYX_REQUIRE_TORCH"}  # of the build and the proofs
    | {"NYX_TEST_DEVICE", "NYX_EXPECT_LANES", "NYX_EXPECT_DRIVER", "NYX_GATE_LOG", "NYX_FAULT"}  # of the test suite
)
"""Environment variables that begin as those of keys do and are none."""
DEFAULT = "default"
SET, OPTION = "--set", "command line"


@dataclass(frozen=True)
class Loaded:
    """A configuration, where the value of each dotted key comes from, and the name of the file it began with."""

    config: Config
    origins: dict[str, str]
    source: str
    chosen: frozenset[str] = frozenset()
    """The dotted keys that a person set: not those of packaged configurations and defaults."""
    notes: tuple[str, ...] = ()
    """What gave way to them, a line each."""


def load(
    names: str | Sequence[str] | None = None,
    sets: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    beneath: Mapping[str, Mapping[str, Any]] | None = None,
    beneath_source: str = "",
) -> Loaded:
    """A configuration file or a packaged one, or several, each above the one before (None: the packaged `default`), and
    what stands above them.

    sets: "section.key=value" each, as after --set. env: os.environ if None. overrides: values by dotted key that come
    from other options. beneath: sections whose keys, from `beneath_source`, count where nothing else says so; its model
    takes the place of that of `default`. What a packaged configuration says gives way to what a person chose where both
    do not go together. Raises ConfigError with a line for every fault, MissingInputError when there is no such file,
    UsageError for a --set without "=".
    """
    paths = [configfile.locate(name) for name in ([names] if isinstance(names, str) else names or [])]
    parsed, source = Parsed(), ""
    chosen: set[KeyPath] = set()
    for path in paths or [configfile.PACKAGED / f"{DEFAULT}.yaml"]:
        source = configfile.label(path)
        above = configfile.parse(configfile.read(path), source)
        _lay_over(parsed, above)
        chosen = chosen - set(above.origins) if path.parent == configfile.PACKAGED else chosen | set(above.origins)
    if beneath and not paths and "model" in beneath:
        parsed.tree.pop("model", None)
        parsed.origins = {path: origin for path, origin in parsed.origins.items() if path[0] != "model"}
    _lay_above(parsed, sets, env, overrides)
    chosen |= {path for path, origin in parsed.origins.items() if _from_person(origin)}
    if beneath:
        chosen |= set(_lay_beneath(parsed, beneath, beneath_source))
    notes = give_way(parsed, chosen)
    return replace(_resolved(parsed, source), chosen=frozenset(map(dotted, chosen)), notes=tuple(notes))


def load_config(names: str | Sequence[str] | None = None, sets: Sequence[str] = ()) -> Config:
    """The configuration alone, as `load` puts it together."""
    return load(names, sets).config


def amend(
    stored: Mapping[str, Any],
    source: str,
    sets: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Loaded:
    """The same with a stored configuration (`Config.to_dict`) in the place of a file; `source` names where it is."""
    if not isinstance(stored, Mapping):
        raise ConfigError(f"{source}: it is not a section of keys")
    parsed = Parsed()
    for section, part in stored.items():
        parsed.tree[section] = dict(part) if isinstance(part, Mapping) else part
        keys = [(section, key) for key in part] if isinstance(part, Mapping) else []
        parsed.origins |= dict.fromkeys([(section,), *keys], source)
    _lay_above(parsed, sets, env, overrides)
    return _resolved(parsed, source)


def dump_yaml(config: Config, origins: Mapping[str, str] | None = None) -> str:
    """The YAML of a configuration, which `load` reads back as an equal one; with where each value comes from."""
    return configfile.dump(config.to_dict(), origins)


def _lay_over(below: Parsed, above: Parsed) -> None:
    """Puts the keys of one file over those of another; sections are merged, all else is replaced."""
    for key, value in above.tree.items():
        if isinstance(value, dict) and isinstance(below.tree.get(key), dict):
            below.tree[key] |= value
        else:
            below.tree[key] = value
            below.origins = {path: origin for path, origin in below.origins.items() if path[:1] != (key,)}
    below.origins |= above.origins
    below.faults += above.faults


def _lay_above(
    parsed: Parsed, sets: Sequence[str], env: Mapping[str, str] | None, overrides: Mapping[str, Any] | None
) -> None:
    """Puts the environment and the command line over what files say."""
    keys = known_keys(schema())
    _environment(parsed, keys, os.environ if env is None else env)
    for text in sets:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {printable(text)}: write --set section.key=value")
        _put_text(parsed, keys, key.strip(), value, SET)
    for key, value in (overrides or {}).items():
        _put(parsed, key, value, OPTION)


def _from_person(origin: str) -> bool:
    """Whether a value comes from the environment or the command line; a file's origin ends in the number of a line."""
    return origin in (SET, OPTION) or (origin.startswith("NYX_") and ":" not in origin)


def _lay_beneath(parsed: Parsed, beneath: Mapping[str, Mapping[str, Any]], source: str) -> Iterator[KeyPath]:
    """Puts keys where nothing else stands, those of a model only under one of its kind; gives their paths."""
    for name, keys in beneath.items():
        section = parsed.tree.setdefault(name, {})
        if section is None:
            section = parsed.tree[name] = {}
        if not isinstance(section, dict) or section.get("kind", keys.get("kind")) != keys.get("kind"):
            continue
        for key in keys.keys() - section.keys():
            section[key] = keys[key]
            parsed.origins[name, key] = source
            yield name, key


def _resolved(parsed: Parsed, source: str) -> Loaded:
    for section in {key.partition(".")[0] for key in known_keys(schema()) if "." in key}:
        if parsed.tree.get(section, ...) is None:  # written with nothing in it
            parsed.tree[section] = {}
    if isinstance(model := parsed.tree.setdefault("model", {}), dict):
        model.setdefault("kind", "hrm")
    config = validated(Config, schema(), parsed, source)
    written = {dotted(path): origin for path, origin in parsed.origins.items()}
    return Loaded(config, {key: written.get(key, "default") for key in flat(config)}, source)


def _environment(parsed: Parsed, keys: Mapping[str, Schema], env: Mapping[str, str]) -> None:
    variables = {f"NYX_{key.replace('.', '__').upper()}": key for key in keys}
    for name in sorted(env):
        if name in variables:
            _put_text(parsed, keys, variables[name], env[name], name)
        elif name.startswith("NYX_") and name not in OTHER_VARIABLES:
            meant = suggest(name, list(variables))
            parsed.faults.append(Fault(f"{printable(name)}: it names no key{meant or '; unset it'}"))


def _put_text(parsed: Parsed, keys: Mapping[str, Schema], key: str, text: str, origin: str) -> None:
    """Text is taken as it stands for a key that holds text, unless it is quoted or a list; otherwise it is YAML."""
    path = tuple(key.split("."))
    types = [node.get("type") for node in alternatives(keys.get(key, {}))]
    value: Any = text
    if "string" not in types or text[:1] in ("'", '"', "[") or ("null" in types and text == "null"):
        try:
            value = configfile.parse_value(text, f"{origin}: {printable(key)}")
        except ConfigError as error:
            parsed.faults.append(Fault(str(error), (path,)))
            parsed.origins[path] = origin
            return
    _put(parsed, key, value, origin)


def _put(parsed: Parsed, key: str, value: Any, origin: str) -> None:
    path = tuple(key.split("."))
    node = parsed.tree
    for i, part in enumerate(path[:-1]):
        if node.get(part) is None:
            node[part] = {}
        node = node[part]
        if not isinstance(node, dict):
            parsed.faults.append(Fault(f"{origin}: {dotted(path)}: {dotted(path[: i + 1])} has no keys in it"))
            return
    node[path[-1]] = value
    parsed.origins[path] = origin
