"""Keep tasks of datasets, their own split, and where a repaired one came from."""

import sqlalchemy as sa
from alembic import op

revision = "2026_11_21_keep_tasks_of_datasets"
down_revision = "2026_11_21_create_the_records"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("origin", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("split", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("deleting", sa.Boolean(), nullable=False, server_default=sa.false()))

    op.create_table(
        "dataset_tasks",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("dataset_id", sa.String(length=128), nullable=False),
        sa.Column("other_id", sa.String(length=128), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("progress", sa.JSON(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("outputs", sa.JSON(), nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("started_at", sa.DateTime(), nullable=True),
        sa.Column("finished_at", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["other_id"], ["datasets.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("dataset_tasks", schema=None) as batch_op:
        batch_op.create_index("ix_dataset_tasks_dataset", ["dataset_id", "created_at"], unique=False)
        batch_op.create_index("ix_dataset_tasks_other", ["other_id"], unique=False)
        batch_op.create_index("ix_dataset_tasks_state", ["state", "created_at"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("dataset_tasks", schema=None) as batch_op:
        batch_op.drop_index("ix_dataset_tasks_state")
        batch_op.drop_index("ix_dataset_tasks_other")
        batch_op.drop_index("ix_dataset_tasks_dataset")

    op.drop_table("dataset_tasks")
    with op.batch_alter_table("datasets", schema=None) as batch_op:
        batch_op.drop_column("deleting")
        batch_op.drop_column("split")
        batch_op.drop_column("origin")
