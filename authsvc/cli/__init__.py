"""The command line: each feature's group, assembled."""

from __future__ import annotations

import sys

import click

from authsvc.audit.cli import audit
from authsvc.cli.accounts import account
from authsvc.cli.after_restore import after_restore
from authsvc.cli.apply import apply
from authsvc.cli.client import client
from authsvc.cli.context import LazyServices
from authsvc.cli.database import migrate
from authsvc.cli.exports import exports
from authsvc.cli.keys_rehearse import rehearse
from authsvc.cli.keys_status import status
from authsvc.cli.keys_withdraw import withdraw
from authsvc.cli.members import member
from authsvc.cli.policy_explain import explain_policy
from authsvc.cli.running import demo, serve, worker
from authsvc.errors import AuthsvcError, ConfigurationError
from authsvc.keyring.cli import keys
from authsvc.policy.cli import policy


class OneSentence(click.Group):
    """Answers every known error with its sentence on stderr and exit status 1; nobody reads a stack trace at 3 a.m."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as exc:
            click.echo(
                "authsvc cannot start:" if len(exc.problems) > 1 else "authsvc cannot start: " + exc.problems[0],
                err=True,
            )
            for problem in exc.problems if len(exc.problems) > 1 else ():
                click.echo(f"  - {problem}", err=True)
        except AuthsvcError as exc:
            click.echo(f"{exc}" + (f" ({exc.detail})" if exc.detail else ""), err=True)
        sys.exit(1)


@click.group(cls=OneSentence, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="authsvc")
@click.pass_context
def main(ctx: click.Context) -> None:
    """Sign-in for IMS: an OAuth 2.0 / OpenID Connect provider with hosted pages."""
    ctx.obj = LazyServices()
    ctx.call_on_close(ctx.obj.close)


for command in (
    serve,
    demo,
    worker,
    migrate,
    apply,
    account,
    member,
    client,
    keys,
    policy,
    audit,
    after_restore,
    exports,
):
    main.add_command(command)
for command in (status, withdraw, rehearse):
    keys.add_command(command)
policy.add_command(explain_policy)
