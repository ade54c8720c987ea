"""Better Auth's tables, for the demo only.

They belong to Better Auth, whose own migration makes and changes them. Where its ``user`` table is there already, this
does nothing. Where it is not, development and test get the tables as Better Auth 1.4 makes them (names, text ids,
camelCase columns), marked as the demo's; any other tier is told to run Better Auth's migration first. The way back
drops only what bears the mark.

Revision ID: 0001
Revises:
"""

from alembic import context, op
from app.auth import DEMO_TIERS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MARK = "made by examples/tasks for its demo, as Better Auth 1.4 makes it"

UPGRADE = f"""
DO $migration$
BEGIN
    IF to_regclass('"user"') IS NOT NULL THEN
        RETURN;
    END IF;
    IF NOT %(demo)s THEN
        RAISE EXCEPTION 'there is no table "user": run Better Auth''s migration first'
            USING HINT = 'npx @better-auth/cli migrate';
    END IF;

    CREATE TABLE "user" (
        "id" text NOT NULL PRIMARY KEY,
        "name" text NOT NULL,
        "email" text NOT NULL UNIQUE,
        "emailVerified" boolean NOT NULL,
        "image" text,
        "createdAt" timestamptz DEFAULT CURRENT_TIMESTAMP NOT NULL,
        "updatedAt" timestamptz DEFAULT CURRENT_TIMESTAMP NOT NULL
    );
    CREATE TABLE "session" (
        "id" text NOT NULL PRIMARY KEY,
        "expiresAt" timestamptz NOT NULL,
        "token" text NOT NULL UNIQUE,
        "createdAt" timestamptz DEFAULT CURRENT_TIMESTAMP NOT NULL,
        "updatedAt" timestamptz NOT NULL,
        "ipAddress" text,
        "userAgent" text,
        "userId" text NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE
    );
    CREATE TABLE "account" (
        "id" text NOT NULL PRIMARY KEY,
        "accountId" text NOT NULL,
        "providerId" text NOT NULL,
        "userId" text NOT NULL REFERENCES "user" ("id") ON DELETE CASCADE,
        "accessToken" text,
        "refreshToken" text,
        "idToken" text,
        "accessTokenExpiresAt" timestamptz,
        "refreshTokenExpiresAt" timestamptz,
        "scope" text,
        "password" text,
        "createdAt" timestamptz DEFAULT CURRENT_TIMESTAMP NOT NULL,
        "updatedAt" timestamptz NOT NULL
    );
    CREATE TABLE "verification" (
        "id" text NOT NULL PRIMARY KEY,
        "identifier" text NOT NULL,
        "value" text NOT NULL,
        "expiresAt" timestamptz NOT NULL,
        "createdAt" timestamptz DEFAULT CURRENT_TIMESTAMP NOT NULL,
        "updatedAt" timestamptz DEFAULT CURRENT_TIMESTAMP NOT NULL
    );
    CREATE INDEX "session_userId_idx" ON "session" ("userId");
    CREATE INDEX "account_userId_idx" ON "account" ("userId");
    CREATE INDEX "verification_identifier_idx" ON "verification" ("identifier");

    COMMENT ON TABLE "user" IS '{MARK}';
    COMMENT ON TABLE "session" IS '{MARK}';
    COMMENT ON TABLE "account" IS '{MARK}';
    COMMENT ON TABLE "verification" IS '{MARK}';
END
$migration$
"""

DOWNGRADE = f"""
DO $migration$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['verification', 'account', 'session', 'user'] LOOP
        IF obj_description(to_regclass(quote_ident(name)), 'pg_class') = '{MARK}' THEN
            EXECUTE format('DROP TABLE %I', name);
        END IF;
    END LOOP;
END
$migration$
"""


def upgrade() -> None:
    """Make the tables if this is a demo and they are missing."""
    demo = context.config.attributes["settings"].tier in DEMO_TIERS
    op.execute(UPGRADE % {"demo": str(demo).lower()})


def downgrade() -> None:
    """Drop the tables if they are the demo's."""
    op.execute(DOWNGRADE)
