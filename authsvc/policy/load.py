"""Reads policies/*.yaml into `Policies`, or says everything that is wrong with all of them at once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from authsvc.errors import ConfigurationError
from authsvc.policy.schema import ExportPolicy, MfaPolicy, PasswordPolicy, PermissionPolicy, SessionPolicy, TokenPolicy
from authsvc.policy.throttle import ThrottlePolicy
from authsvc.policy.values import DURATION, Rate, Section, format_duration

FILES = (
    "mfa.yaml",
    "password.yaml",
    "tokens.yaml",
    "sessions.yaml",
    "throttle.yaml",
    "permissions.yaml",
    "exports.yaml",
)
# How the packaged defaults are called in messages: where they really lie depends on the installation.
PACKAGED = Path("authsvc/default_policies")

M = TypeVar("M", bound=Section)

# A name is repeated in messages, so nothing in it may break a line or a terminal.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")


class PolicyError(ConfigurationError):
    """The policy files do not say what this release needs to know."""


@dataclass(frozen=True)
class Policies:
    """Every policy of this installation, checked, and the same until the process ends."""

    mfa: MfaPolicy
    password: PasswordPolicy
    tokens: TokenPolicy
    sessions: SessionPolicy
    throttle: ThrottlePolicy
    permissions: PermissionPolicy
    exports: ExportPolicy

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) of what the files mean: comments, the order of fields and "60s" for "1m" do not change it."""
        content = {field.name: getattr(self, field.name).model_dump(by_alias=True) for field in fields(self)}
        text = json.dumps(content, default=_canonical, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def short_hash(self) -> str:
        """The first 16 characters of `hash`, for logs and audit rows."""
        return self.hash[:16]


def load(directory: Path | None) -> Policies:
    """The policies in `directory`; None: the defaults that come with the package.

    The folder holds exactly the files of FILES; README.md, hidden files and what is not YAML are left alone.
    Raises: PolicyError, whose `problems` has one sentence for each mistake in any file.
    """
    shown = place(directory)
    folder: Traversable = files("authsvc") / "default_policies" if directory is None else directory
    try:
        present = {entry.name for entry in folder.iterdir()}
    except OSError as exc:
        raise PolicyError([f"{shown}: cannot be read: {_reason(exc)}"]) from exc

    problems: list[str] = []

    def read(filename: str, model: type[M]) -> M | None:
        policy, found = _read(folder / filename, model)
        problems.extend(f"{shown / filename}: {problem}" for problem in found)
        return policy

    mfa = read("mfa.yaml", MfaPolicy)
    password = read("password.yaml", PasswordPolicy)
    tokens = read("tokens.yaml", TokenPolicy)
    sessions = read("sessions.yaml", SessionPolicy)
    throttle = read("throttle.yaml", ThrottlePolicy)
    permissions = read("permissions.yaml", PermissionPolicy)
    exports = read("exports.yaml", ExportPolicy)
    for name in sorted(present.difference(FILES)):
        if name.lower().endswith((".yaml", ".yml")) and not name.startswith("."):
            problems.append(f"{shown / name}: is not a policy file; the files are {', '.join(FILES)}")
    if mfa and sessions:
        problems.extend(f"{shown / 'sessions.yaml'}: {problem}" for problem in _across(mfa, sessions))
    if problems or not (mfa and password and tokens and sessions and throttle and permissions and exports):
        raise PolicyError(problems)
    return Policies(mfa, password, tokens, sessions, throttle, permissions, exports)


def parse(text: str, model: type[M]) -> tuple[M | None, list[str]]:
    """The policy that `text` writes, or None and what is wrong with it, one sentence each."""
    try:
        loader = StrictLoader(text)
        content = loader.get_single_data()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        told = ", ".join(part for part in (exc.context, exc.problem) if part)
        return None, [f"line {mark.line + 1}: {told}" if mark else told]
    except yaml.reader.ReaderError as exc:
        return None, [f"holds a character that YAML does not allow, at position {exc.position}"]
    except RecursionError:
        return None, ["is nested too deeply"]
    except (ValueError, OverflowError):  # PyYAML lets "\UFFFFFFFF" through to chr()
        return None, ["holds an escape that is no character"]
    if content is None:
        return None, ["is empty"]
    if not isinstance(content, dict):
        return None, [f"must be a group of fields (got {_written(content)})"]
    try:
        policy = model.model_validate(content)
    except ValidationError as exc:
        return None, loader.problems + [_sentence(error) for error in exc.errors(include_url=False)]
    return (None if loader.problems else policy), loader.problems


def place(directory: Path | None) -> Path:
    """How messages call the folder that `load(directory)` reads."""
    return PACKAGED if directory is None else directory


class StrictLoader(yaml.SafeLoader):
    """YAML without its surprises: what could be read in two ways is refused or stays text, for the schema to refuse.

    Booleans are `true` and `false` only (YAML 1.1 also takes off, no and yes), whole numbers are decimal only (there
    010 is 8 and 1:30 is 90); there are no dates, tags, aliases or merge keys. Odd or repeated keys are `problems`.
    """

    yaml_implicit_resolvers: dict[Any, Any] = {}  # a table of its own, filled below

    def __init__(self, text: str) -> None:
        """Read `text`."""
        super().__init__(text)
        self.problems: list[str] = []

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """The next node, unless it is an alias or carries a tag."""
        event = self.peek_event()  # type: ignore[no-untyped-call]  # missing from the stubs
        if isinstance(event, yaml.AliasEvent) or getattr(event, "tag", None) is not None:
            raise yaml.composer.ComposerError(None, None, "aliases and tags are not used here", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping with its keys as written; of a key written twice, the first."""
        mapping: dict[Hashable, Any] = {}
        lines: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or not _NAME.fullmatch(key.value):
                self.problems.append(f"line {line}: a field needs a plain name")
            elif key.value in lines:
                self.problems.append(f"line {line}: {key.value} is written twice (first on line {lines[key.value]})")
            else:
                lines[key.value] = line
                mapping[key.value] = self.construct_object(value, deep=True)
        return mapping

    def construct_tuple(self, node: yaml.SequenceNode) -> tuple[Any, ...]:
        """A list as a tuple, so that nothing read can be changed."""
        return tuple(self.construct_object(item, deep=True) for item in node.value)


StrictLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:~|null|)$"), ["~", "n", ""])
StrictLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|false)$"), ["t", "f"])
StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})$"), list("-+0123456789")
)
StrictLoader.add_constructor("tag:yaml.org,2002:seq", StrictLoader.construct_tuple)


def _read(file: Traversable, model: type[M]) -> tuple[M | None, list[str]]:
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None, ["is missing; a policies folder holds all of its files"]
    except OSError as exc:
        return None, [f"cannot be read: {_reason(exc)}"]
    except UnicodeDecodeError:
        return None, ["is not UTF-8 text"]
    return parse(text, model)


def _across(mfa: MfaPolicy, sessions: SessionPolicy) -> list[str]:
    """What no single file can see. The page says until when a code works; the sign-in behind it must live as long."""
    longest = max(mfa.code.lifetime.email, mfa.code.lifetime.sms)
    if sessions.attempt < longest:
        rule = f"must not be shorter than the longest code.lifetime in mfa.yaml, {format_duration(longest)}"
        return [f"attempt: {rule} (got {format_duration(sessions.attempt)})"]
    return []


def _sentence(error: ErrorDetails) -> str:
    """One of pydantic's errors as a person who edits the file would say it."""
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return f"{where}: is missing; policies/README.md gives its default"
        case "extra_forbidden":
            return f"{where}: is not a field of this file"
        case "greater_than_equal":
            rule = f"must be at least {context['ge']}"
        case "less_than_equal":
            rule = f"must be at most {context['le']}"
        case "literal_error":
            rule = f"must be {context['expected']}".replace("False", "false")
        case "int_type":
            rule = "must be a whole number"
        case "bool_type":
            rule = "must be true or false"
        case "string_type":
            rule = "must be text"
        case "tuple_type":
            rule = "must be a list, as in [first, second]"
        case "model_type":
            rule = "must be a group of fields"
        case "time_delta_type":
            rule = "must be a whole number and a unit, as in 10m"
        case "is_instance_of":
            rule = "must read like 10 per 15m"
        case "value_error":
            rule = str(context["error"])
        case _:
            rule = error["msg"]
    got = _written(error["input"])
    return f"{where}: {rule}" + (f" (got {got})" if got and "(got " not in rule else "")


def _written(value: object) -> str:
    """`value` much as the file has it; empty for what would be too long to repeat."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case timedelta():
            return format_duration(value)
        case str() if DURATION.fullmatch(value):
            return value
        case str():
            return repr(value if len(value) <= 40 else value[:39] + "…")
        case tuple():
            return "a list" if value else "an empty list"
        case dict():
            return "a group of fields"
        case _:
            return ""


def _reason(exc: OSError) -> str:
    return (exc.strerror or type(exc).__name__).lower()


def _canonical(value: timedelta | Rate) -> str:
    return format_duration(value) if isinstance(value, timedelta) else str(value)
