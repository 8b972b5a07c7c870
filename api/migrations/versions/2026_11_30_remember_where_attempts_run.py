"""Remember where each attempt runs, so that no other place is asked about it, and what was last seen of it."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_30_remember_where_attempts_run"
down_revision = "2026_11_29_share_the_records"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Empty for those that were before: they run where the settings led until now.
    op.add_column("attempts", sa.Column("place", sa.String(length=128), nullable=True))
    op.add_column("attempts", sa.Column("status_digest", sa.String(length=32), nullable=True))


def downgrade() -> None:
    op.drop_column("attempts", "status_digest")
    op.drop_column("attempts", "place")
