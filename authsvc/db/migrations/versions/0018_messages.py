"""suppressed addresses, tallies of text messages

Addresses that mail came back from; what each day's text messages cost, and how many of a phone prefix were answered.
"""

import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('suppressed_address',
    sa.Column('address_digest', sa.String(length=64), nullable=False),
    sa.Column('reason', sa.String(length=20), nullable=False),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('suppressed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('user_id', sa.String(length=64), nullable=True),
    sa.CheckConstraint("reason IN ('bounce', 'complaint')", name=op.f('ck_suppressed_address_reason')),
    sa.ForeignKeyConstraint(['user_id'], ['app_user.id'], name=op.f('fk_suppressed_address_user_id_app_user'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('address_digest', name=op.f('pk_suppressed_address'))
    )
    op.create_table('text_tally',
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('prefix_digest', sa.String(length=64), nullable=False),
    sa.Column('spent', sa.BigInteger(), nullable=False),
    sa.Column('verified', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('day', 'prefix_digest', name=op.f('pk_text_tally'))
    )


def downgrade() -> None:
    op.drop_table('text_tally')
    op.drop_table('suppressed_address')
