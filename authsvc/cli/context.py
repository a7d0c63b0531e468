"""What commands work on: built when first looked at, so that `policy check` needs no database."""

from __future__ import annotations

import getpass
import os
from functools import cached_property

from authsvc import logs, services
from authsvc.audit import AuditLog
from authsvc.clock import Clock, SystemClock
from authsvc.db import Database
from authsvc.db.engine import PATIENT_S
from authsvc.policy.load import Policies, load
from authsvc.settings import Settings
from authsvc.web import facts


def operator() -> str:
    """The OS user, by name, or by number: a container's has no name."""
    try:
        return getpass.getuser()
    except KeyError:
        return f"uid {os.getuid()}"


class LazyServices:
    """The services of a command. `operator` in the trail is the OS user."""

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()
        facts.remember(facts.RequestFacts(request_id="cli", operator=operator()))

    def close(self) -> None:
        """Let go of the database."""
        for name in ("database", "services"):
            if (made := self.__dict__.get(name)) is not None:
                (made if isinstance(made, Database) else made.database).dispose()

    @cached_property
    def settings(self) -> Settings:
        """The settings; logging follows them. Raises: ConfigurationError."""
        settings = Settings.read()
        logs.configure(settings.log_level)
        return settings

    @cached_property
    def policies(self) -> Policies:
        """The policies in force. Raises: PolicyError."""
        return load(self.settings.policies_dir)

    @cached_property
    def database(self) -> Database:
        """The database alone, for commands that need nothing else."""
        return Database(self.settings.database_url, pool=2, statement_s=PATIENT_S)

    @cached_property
    def audit(self) -> AuditLog:
        """The trail."""
        return AuditLog(self.clock, self.policies.short_hash)

    @cached_property
    def services(self) -> services.Services:
        """Everything. Raises: whatever would make a half-configured service."""
        return services.build(self.settings, clock=self.clock, policies=self.policies, statement_s=PATIENT_S)
