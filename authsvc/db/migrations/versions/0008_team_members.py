"""team members

Before you write: expand now, backfill in batches, contract in a later release. The previous release must run on the new
schema. A lock is waited for 4 s, a statement runs 5 s; say here why, if one needs more. Write the downgrade, and test it.
"""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # No release has written an invitation before this one; the default is for the rule, not for rows.
    op.add_column('invitation', sa.Column('address', sa.String(length=320), nullable=False, server_default=''))
    op.add_column('membership', sa.Column('invited_as', sa.String(length=200), nullable=True))


def downgrade() -> None:
    op.drop_column('membership', 'invited_as')
    op.drop_column('invitation', 'address')
