"""Runs migrations on the connection `Database.migrate` hands over, or on TIPHYS_DATABASE_URL from the command line."""

from alembic import context
from sqlalchemy import Connection

from api.db import Database
from api.models import Base
from api.settings import Settings


def upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Alembic's own would take names of 32 characters, which SQLite never minded.
        connection.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(128) NOT NULL PRIMARY KEY)"
        )
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    upgrade(given)
else:
    with Database(Settings().resolved_database_url()).engine.begin() as connection:
        upgrade(connection)
