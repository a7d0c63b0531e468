"""notifications

The bell: one table, whose ids begin with the time.
"""

import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('notification',
    sa.Column('id', sa.String(length=64), nullable=False),
    sa.Column('membership_id', sa.String(length=64), nullable=False),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('told', sa.JSON(), nullable=False),
    sa.Column('link', sa.String(length=500), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('client_id', sa.String(length=64), nullable=True),
    sa.Column('client_key', sa.String(length=64), nullable=True),
    sa.ForeignKeyConstraint(['membership_id'], ['membership.id'], name=op.f('fk_notification_membership_id_membership'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notification')),
    sa.UniqueConstraint('client_id', 'client_key', name=op.f('uq_notification_client_id_client_key'))
    )
    op.create_index(op.f('ix_notification_membership_id_id'), 'notification', ['membership_id', 'id'], unique=False)


def downgrade() -> None:
    op.drop_index(op.f('ix_notification_membership_id_id'), table_name='notification')
    op.drop_table('notification')
