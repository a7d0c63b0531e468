"""`authsvc doctor`: tries everything the service depends on, and says in plain words what is wrong and what to do."""

from __future__ import annotations

import json
import sys

import click

from authsvc import logs
from authsvc.cli.checks import CHECKS, Check, Finding, State, wrong
from authsvc.cli.context import LazyServices
from authsvc.errors import AuthsvcError, ConfigurationError

COLOR = {State.OK: "green", State.NOTE: "yellow", State.WRONG: "red"}
#: What to do about an error that a check did not foresee.
OFTEN = {
    "settings": "Correct the environment; README.md lists every setting.",
    "policies": "Correct the files; `authsvc policy check` lists every mistake.",
    "database": "See that the database runs, and that AUTHSVC_DATABASE_URL is right.",
    "keys": "See keys/README.md, the runbook.",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def doctor(needs: LazyServices, as_json: bool) -> None:
    """Try every dependency and say what is wrong and what to do. Nothing is sent or changed. Exit 1 when something is wrong."""
    found: dict[str, Finding] = {}
    for name, check in CHECKS:
        finding = examine(needs, name, check, found)
        found[name] = finding
        if not as_json:
            show(name, finding)
        if name == "settings":
            if finding.state is State.WRONG:
                break
            logs.configure("critical")  # what is wrong is said in the table
    bad = [name for name, finding in found.items() if finding.state is State.WRONG]
    if as_json:
        checks = [
            {"name": name, "state": one.state.lower(), "says": one.says, "do": one.do} for name, one in found.items()
        ]
        click.echo(json.dumps({"ok": not bad, "checks": checks}))
    elif bad:
        rest = "" if len(found) == len(CHECKS) else "; nothing else can be tried before"
        click.echo(f"\n{len(bad)} of {len(found)} wrong: {', '.join(bad)}{rest}.")
    else:
        click.echo("\nEverything is well.")
    sys.exit(1 if bad else 0)


def examine(needs: LazyServices, name: str, check: Check, before: dict[str, Finding]) -> Finding:
    """What `check` finds; whatever it raises is a finding too."""
    if (cause := _blocked(needs, name, before)) is not None:
        return Finding(State.NOTE, f"not tried before {cause} is well")
    try:
        return check(needs)
    except ConfigurationError as exc:
        return wrong("\n".join(exc.problems), OFTEN.get(name, OFTEN["settings"]))
    except AuthsvcError as exc:
        return wrong(str(exc) + (f" ({exc.detail})" if exc.detail else ""), OFTEN.get(name, OFTEN["database"]))
    except Exception as exc:  # a table that says everything else beats a stack trace
        return wrong(f"could not be tried: {type(exc).__name__}", OFTEN.get(name, "Report it with the log."))


def show(name: str, finding: Finding) -> None:
    """One row, and the way out under it."""
    first, *more = finding.says.splitlines() or [""]
    click.echo(f"{click.style(f'{finding.state:<6}', fg=COLOR[finding.state])} {name:<11} {first}")
    for line in more:
        click.echo(f"{'':<18} {line}")
    if finding.do:
        click.echo(f"{'':<18} -> {finding.do}")


def _blocked(needs: LazyServices, name: str, before: dict[str, Finding]) -> str | None:
    """What was found wrong that makes this one say nothing new."""
    needed = {
        "migrations": ["database"],
        "clock": ["database"],
        "worker": ["database", "migrations"],
        "keys": ["policies"],
    }
    also = ["database", "migrations"] if name == "keys" and not needs.settings.keys_url.startswith("dir:") else []
    causes = (cause for cause in [*needed.get(name, []), *also] if before[cause].state is State.WRONG)
    return next(causes, None)
