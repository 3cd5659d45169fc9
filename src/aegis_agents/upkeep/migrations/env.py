"""What alembic runs: the revisions, in one transaction, on the connection that it is handed (`upkeep.revisions`)."""

from __future__ import annotations

from typing import Any

from alembic import context


def run() -> None:
    """Run what was asked for, on the connection or, for a DBA, as SQL alone."""
    given: dict[str, Any] = context.config.attributes
    options: dict[str, Any] = {
        "target_metadata": None,
        "version_table": "alembic_version",
        "transaction_per_migration": False,
    }
    if context.is_offline_mode():
        context.configure(
            dialect_name="postgresql",
            as_sql=True,
            literal_binds=True,
            output_buffer=context.config.output_buffer,
            **options,
        )
        with context.begin_transaction():
            for statement in given["first"]:
                context.execute(statement)
            context.run_migrations()
        return
    context.configure(connection=given["connection"], **options)
    with context.begin_transaction():
        context.run_migrations()


run()
