"""accounts of clients

Which accounts a machine client may touch through the account API. Null, as for every client before: all of them.
"""

import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('oauth_client', sa.Column('accounts', sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column('oauth_client', 'accounts')
