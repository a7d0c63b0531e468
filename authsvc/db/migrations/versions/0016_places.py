"""places

The internet address of a session and of a remembered device, for the place beside them (domain D30). Null: from before, or
written by a replica of before.
"""

import sqlalchemy as sa
from alembic import op

revision = '0016'
down_revision = '0014'
branch_labels = None
depends_on = None

TABLES = ('browser_session', 'remembered_device')


def upgrade() -> None:
    for table in TABLES:
        op.add_column(table, sa.Column('remote_address', sa.String(length=64), nullable=True))


def downgrade() -> None:
    for table in TABLES:
        op.drop_column(table, 'remote_address')
