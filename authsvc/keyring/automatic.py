"""Rotation by policy: a chore of the worker, of as many workers as there are."""

from __future__ import annotations

from dataclasses import dataclass

from authsvc import logs
from authsvc.audit import AuditLog
from authsvc.db import Database
from authsvc.keyring.ring import RSA_BITS, KeyRing
from authsvc.keyring.rules import TokenPolicy, rotation_rules
from authsvc.keyring.schedule import KeyringError, utc_text
from authsvc.keyring.trail import Trail

log = logs.logger(__name__)


@dataclass(frozen=True)
class RotateWhenDue:
    """Publishes the next key of every algorithm whose time has come; safe to run anywhere, any number of times."""

    ring: KeyRing
    tokens: TokenPolicy
    database: Database
    audit: AuditLog
    rsa_bits: int = RSA_BITS

    def __call__(self) -> None:
        """Rotate what is due. What cannot be done is logged and tried again next time: the present key signs on."""
        trail = Trail(self.audit, "policy")
        every = self.tokens.keys.rotate_every
        try:
            done = self.ring.rotate_due(
                rules=rotation_rules(self.tokens), every=every, rsa_bits=self.rsa_bits, note=trail.rotations
            )
        except KeyringError as exc:
            log.error("keyring.rotation_failed", problem=str(exc), reason=exc.detail or None)
            return
        for rotation in done:
            new = rotation.successor
            log.info("keyring.rotated", algorithm=new.algorithm, kid=new.kid, signs_from=utc_text(new.use_from))
        if done and not trail.make_sure(self.database, lambda tx: trail.rotations(tx, done)):
            log.error("keyring.rotation_not_in_the_trail")
