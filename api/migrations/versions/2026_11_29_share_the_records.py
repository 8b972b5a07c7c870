"""Let several processes share the records: numbers without end on PostgreSQL, and a lease for the active reconciler."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_29_share_the_records"
down_revision = "2026_11_21_keep_tasks_of_datasets"
branch_labels = None
depends_on = None

NUMBERS = (("events", "id"), ("heartbeats", "seq"))


def upgrade() -> None:
    # SQLite's integers have 64 bits already, and its tables would have to be rebuilt.
    if op.get_bind().dialect.name == "postgresql":
        for table, column in NUMBERS:
            op.alter_column(table, column, type_=sa.BigInteger(), existing_type=sa.Integer(), existing_nullable=False)
            op.execute(f"ALTER SEQUENCE {table}_{column}_seq AS bigint")
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=False),
        sa.Column("looked_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("leases")
    if op.get_bind().dialect.name == "postgresql":
        for table, column in NUMBERS:
            op.alter_column(table, column, type_=sa.Integer(), existing_type=sa.BigInteger(), existing_nullable=False)
            op.execute(f"ALTER SEQUENCE {table}_{column}_seq AS integer")
