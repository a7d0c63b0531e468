"""account fence

Row-level security on PostgreSQL: in a transaction that names an account (authsvc/db/fence.py), rows of other accounts are not
there. Where none is named nothing changes. FORCE, for the service usually owns its tables, and owners are exempt otherwise;
superusers always are. `pg_dump` as this owner needs --enable-row-security, or a role with BYPASSRLS.
"""

from alembic import op

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None

# A sub-select, so that the setting is read once a statement and not once a row.
NAMED = "(SELECT nullif(current_setting('authsvc.account_id', true), ''))"
OWN = f"{NAMED} IS NULL OR account_id = {NAMED}"
OF_MEMBERSHIP = (
    f"{NAMED} IS NULL OR EXISTS (SELECT FROM membership m WHERE m.id = membership_id AND m.account_id = {NAMED})"
)
POLICIES = {
    'membership': OWN,
    # Rows of a person in all of their accounts (a wrong password) name none.
    'audit_event': f"{OWN} OR account_id IS NULL",
    'remembered_device': OF_MEMBERSHIP,
    'browser_session': OF_MEMBERSHIP,
    'invitation': OF_MEMBERSHIP,
    'export': OWN,
}


def upgrade() -> None:
    if op.get_bind().dialect.name != 'postgresql':
        return
    for table, condition in POLICIES.items():
        op.execute(f"CREATE POLICY account_fence ON {table} USING ({condition})")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    if op.get_bind().dialect.name != 'postgresql':
        return
    for table in POLICIES:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
        op.execute(f"DROP POLICY account_fence ON {table}")
