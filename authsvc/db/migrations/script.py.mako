"""${message}

Before you write: expand now, backfill in batches, contract in a later release. The previous release must run on the new
schema. A lock is waited for 4 s, a statement runs 5 s; say here why, if one needs more. Write the downgrade, and test it.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
