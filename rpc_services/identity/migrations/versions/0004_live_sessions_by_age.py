"""The live sessions of a user by age, of which the oldest end and the newest are listed.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    live = sa.text("revoked_at IS NULL")
    op.create_index("ix_sessions_live_by_age", "sessions", ["user_id", "opened_at"], postgresql_where=live)


def downgrade() -> None:
    op.drop_index("ix_sessions_live_by_age", "sessions")
