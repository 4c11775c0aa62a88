"""Accounts, sessions, tries to log in and signing keys.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.messaging.tables import create_messaging_tables, drop_messaging_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.Uuid(as_uuid=False)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_messaging_tables(op)
    _create_users()
    _create_sessions()
    op.create_table(
        "login_attempts",
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("paid_until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_login_attempts"),
    )
    op.create_index("ix_login_attempts_paid_until", "login_attempts", ["paid_until"])
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("public_jwk", JSONB, nullable=False),
        sa.Column("sealed_private_pem", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
        sa.CheckConstraint("state IN ('next', 'current', 'retiring')", name=op.f("ck_signing_keys_state")),
    )
    current = sa.text("state = 'current'")
    op.create_index("uq_signing_keys_current", "signing_keys", ["state"], unique=True, postgresql_where=current)


def downgrade() -> None:
    for table in ("signing_keys", "login_attempts", "refresh_tokens", "sessions", "users"):
        op.drop_table(table)
    drop_messaging_tables(op)


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", ID, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("username_sameness", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("email_sameness", sa.Text, nullable=False),
        sa.Column("first_name", sa.Text, nullable=False),
        sa.Column("last_name", sa.Text, nullable=False),
        sa.Column("phone_number", sa.Text, nullable=False),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("username_sameness", name="uq_users_username_sameness"),
        sa.UniqueConstraint("email_sameness", name="uq_users_email_sameness"),
    )


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT),
        sa.Column("revoked_because", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id_users"),
        sa.CheckConstraint(
            "(revoked_at IS NULL) = (revoked_because IS NULL)", name=op.f("ck_sessions_revoked_with_reason")
        ),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_live", "sessions", ["user_id"], postgresql_where=sa.text("revoked_at IS NULL"))
    revoked = sa.text("revoked_at IS NOT NULL")
    op.create_index("ix_sessions_revoked_at", "sessions", ["revoked_at"], postgresql_where=revoked)
    op.create_table(
        "refresh_tokens",
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("session_id", ID, nullable=False),
        sa.Column("kept_at", MOMENT, nullable=False),
        sa.Column("spent_at", MOMENT),
        sa.Column("salt", sa.LargeBinary),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_refresh_tokens"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_refresh_tokens_session_id_sessions", ondelete="CASCADE"
        ),
        sa.CheckConstraint("(spent_at IS NULL) = (salt IS NULL)", name=op.f("ck_refresh_tokens_spent_with_salt")),
    )
    op.create_index("ix_refresh_tokens_session_id", "refresh_tokens", ["session_id"])
