"""Which requirement a path has: shared by the ASGI and the WSGI middleware."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from posixpath import normpath

from authsvc.resource_server.claims import Requirement


class PathRules:
    """The requirements of each path. A path that no rule names has the default one: forgetting a rule opens nothing."""

    def __init__(self, default: Requirement, paths: Mapping[str, Requirement], open_paths: Collection[str]) -> None:
        """`paths`: a path and all below it -> its requirement instead of the default; the longest that fits counts.

        `open_paths`: these paths to the letter, and nothing below them, need no token.
        Raises: ValueError for one without its first slash, or a rule with a slash at its end or an empty, `.` or `..`
        segment.
        """
        if isinstance(open_paths, str) or not all(path.startswith("/") for path in open_paths):
            raise ValueError("open_paths: a collection of paths, each with its first slash")
        for path in paths:
            if path != _normal(path):
                raise ValueError(f"paths: {path!r} is no path as requests have it, say {_normal(path)!r}")
        self._default = default
        self._open = frozenset(open_paths)
        self._rules = sorted(paths.items(), key=lambda rule: len(rule[0]), reverse=True)

    def of(self, path: str) -> tuple[Requirement, ...]:
        """Every requirement that a request for `path` must meet; none when the path is open.

        More than one where the path can be read in two ways: whether the application behind sees `/a//b` and `/x/../a`
        as they are or tidied up, no spelling avoids a rule.
        """
        if path in self._open:
            return ()
        if not self._rules:
            return (self._default,)
        return tuple(dict.fromkeys(self._rule(reading) for reading in (path, _normal(path))))

    def _rule(self, path: str) -> Requirement:
        for prefix, requirement in self._rules:
            if path == prefix or path.startswith(prefix.rstrip("/") + "/"):
                return requirement
        return self._default


def _normal(path: str) -> str:
    return "/" + normpath("/" + path).lstrip("/")
