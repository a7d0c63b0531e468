"""recovery

Before you write: expand now, backfill in batches, contract in a later release. The previous release must run on the new
schema. A lock is waited for 4 s, a statement runs 5 s; say here why, if one needs more. Write the downgrade, and test it.
"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('failure_streak',
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.Column('key_digest', sa.String(length=64), nullable=False),
    sa.Column('consecutive', sa.Integer(), nullable=False),
    sa.Column('spell', sa.Integer(), nullable=False),
    sa.Column('last_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('paused_until', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name', 'key_digest', name=op.f('pk_failure_streak'))
    )
    with op.batch_alter_table('failure_streak', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_failure_streak_last_at'), ['last_at'], unique=False)

    op.add_column('invitation', sa.Column('wanted_at', sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table('mailed_link', schema=None) as batch_op:
        batch_op.add_column(sa.Column('account_id', sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column('about', sa.JSON(), nullable=True))
        batch_op.create_foreign_key(batch_op.f('fk_mailed_link_account_id_account'), 'account', ['account_id'], ['id'], ondelete='CASCADE')


def downgrade() -> None:
    with op.batch_alter_table('invitation', schema=None) as batch_op:
        batch_op.drop_column('wanted_at')

    with op.batch_alter_table('mailed_link', schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f('fk_mailed_link_account_id_account'), type_='foreignkey')
        batch_op.drop_column('about')
        batch_op.drop_column('account_id')

    with op.batch_alter_table('failure_streak', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_failure_streak_last_at'))

    op.drop_table('failure_streak')
