"""The tables of identity's database."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from shared.persistence.naming import NAMING

metadata = MetaData(naming_convention=NAMING)

users = Table(
    "users",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("username", Text, nullable=False),
    Column("username_sameness", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("email_sameness", Text, nullable=False),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("phone_number", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("disabled_at", DateTime(timezone=True)),
    UniqueConstraint("username_sameness"),
    UniqueConstraint("email_sameness"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("user_id", Uuid(as_uuid=False), ForeignKey("users.id"), nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
    Column("revoked_at", DateTime(timezone=True)),
    Column("revoked_because", Text),
    CheckConstraint("(revoked_at IS NULL) = (revoked_because IS NULL)", name="revoked_with_reason"),
)
Index("ix_sessions_live", sessions.c.user_id, postgresql_where=sessions.c.revoked_at.is_(None))
Index(
    "ix_sessions_live_by_age",
    sessions.c.user_id,
    sessions.c.opened_at,
    postgresql_where=sessions.c.revoked_at.is_(None),
)
Index("ix_sessions_revoked_at", sessions.c.revoked_at, postgresql_where=sessions.c.revoked_at.is_not(None))

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("fingerprint", LargeBinary, primary_key=True),
    Column(
        "session_id", Uuid(as_uuid=False), ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("kept_at", DateTime(timezone=True), nullable=False),
    Column("spent_at", DateTime(timezone=True)),
    Column("salt", LargeBinary),
    CheckConstraint("(spent_at IS NULL) = (salt IS NULL)", name="spent_with_salt"),
)

login_attempts = Table(
    "login_attempts",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("paid_until", DateTime(timezone=True), nullable=False, index=True),
)

known_visitors = Table(
    "known_visitors",
    metadata,
    Column("key", LargeBinary, primary_key=True),
    Column("until", DateTime(timezone=True), nullable=False, index=True),
)

clients = Table(
    "clients",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_digest", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("name"),
)

ended_grants = Table(
    "ended_grants",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("client_id", Uuid(as_uuid=False), ForeignKey("clients.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("ended_at", DateTime(timezone=True), nullable=False, index=True),
)

cutoffs = Table(
    "cutoffs",
    metadata,
    Column("subject", Uuid(as_uuid=False), primary_key=True),
    Column("ended_at", DateTime(timezone=True), nullable=False),
    Column("issued_before", BigInteger, nullable=False),
    Column("kept_session_id", Uuid(as_uuid=False)),
    Column("forget_at", BigInteger, nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("public_jwk", JSONB, nullable=False),
    Column("sealed_private_pem", LargeBinary, nullable=False),
    Column("due_at", DateTime(timezone=True)),
    CheckConstraint("state IN ('next', 'current', 'retiring')", name="state"),
)
Index("uq_signing_keys_current", signing_keys.c.state, unique=True, postgresql_where=signing_keys.c.state == "current")
