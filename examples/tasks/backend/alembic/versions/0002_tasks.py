"""The tasks table, its indexes, and the wall between its users.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Roles belong to the whole cluster: another database may have made them already, or still need them.
# What one can do must then be checked, not assumed.
MAKE_ROLE = """
DO $migration$
BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION
    WHEN duplicate_object OR unique_violation THEN
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}' AND (rolsuper OR rolbypassrls OR rolcanlogin)) THEN
            RAISE EXCEPTION 'a role {role} exists already, and it may log in or is not bound by row-level security';
        END IF;
END
$migration$
"""

DROP_ROLE = """
DO $migration$
BEGIN
    DROP ROLE IF EXISTS {role};
EXCEPTION
    WHEN dependent_objects_still_exist OR insufficient_privilege THEN
        RAISE NOTICE 'the role {role} stays: another database of this server uses it';
END
$migration$
"""

ME = "NULLIF(current_setting('app.user_id', true), '')"  # a setting that was once set and is no more reads as ''

# Row-level security lets no operator that could leak a value look at a row before the policy has, and @@ counts as one.
# So the index on the search vector is out of reach for tasks_app, and a search would read every task of the user.
# This function may use it. It runs as tasks_search, which may read what lists sort and filter by and the vectors, no
# words; the identity is wired into it; what is behind an id it returns is again a matter of row-level security.
# More than 1,000 matches are not a find: the bound keeps a word that is in every task as cheap as a rare one.
# force_custom_plan: whether the index or the newest tasks in turn are the shorter way depends on the words.
SEARCH = f"""
CREATE FUNCTION matching_tasks(words text)
RETURNS TABLE (id bigint, created_at timestamptz, due_date date, priority smallint, completed boolean)
LANGUAGE plpgsql STABLE STRICT SECURITY DEFINER
SET search_path = public, pg_temp
SET plan_cache_mode = force_custom_plan
AS $function$
DECLARE
    me text := {ME};
    query tsquery := websearch_to_tsquery('english', words);
BEGIN
    RETURN QUERY
        SELECT task.id, task.created_at, task.due_date, task.priority, task.completed FROM tasks AS task
        WHERE task.user_id = me AND task.search @@ query
        ORDER BY task.created_at DESC, task.id DESC LIMIT 1000;
END
$function$
"""
SEARCHABLE = "id, user_id, created_at, due_date, priority, completed, search"


def upgrade() -> None:
    """Make the table, its indexes, roles and policies."""
    op.execute("CREATE EXTENSION IF NOT EXISTS btree_gin")
    op.create_table(
        "tasks",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("user_id", sa.Text, sa.ForeignKey("user.id", ondelete="CASCADE"), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
        sa.Column("completed", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("priority", sa.SmallInteger, nullable=False, server_default=sa.text("2")),
        sa.Column("due_date", sa.Date),
        sa.Column("tags", postgresql.ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
        sa.Column("metadata", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'")),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("updated_at", sa.TIMESTAMP(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column(
            "search",
            postgresql.TSVECTOR,
            sa.Computed(
                "setweight(to_tsvector('english', title), 'A') || setweight(to_tsvector('english', description), 'B')",
                persisted=True,
            ),
        ),
        sa.CheckConstraint("priority BETWEEN 1 AND 3", name="tasks_priority_check"),
    )
    due_or_never = sa.text("LEAST(due_date, 'infinity'::date)")
    op.create_index("tasks_by_created", "tasks", ["user_id", "created_at", "id", "completed", "priority"])
    op.create_index("tasks_by_due", "tasks", ["user_id", due_or_never, "id", "completed", "priority"])
    op.create_index("tasks_by_priority", "tasks", ["user_id", "priority", "id", "completed"])
    op.create_index(
        "tasks_search",
        "tasks",
        ["user_id", "search"],
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    wall_off()
    allow_search()


def wall_off() -> None:
    """Make tasks_app, which sees one user's rows at a time, and let the application's own role become it."""
    op.execute(MAKE_ROLE.format(role="tasks_app"))
    op.execute("GRANT tasks_app TO CURRENT_USER")
    op.execute("GRANT USAGE ON SCHEMA public TO tasks_app")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON tasks TO tasks_app")
    op.execute("ALTER TABLE tasks ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE tasks FORCE ROW LEVEL SECURITY")  # the owner, too, sees nothing without an identity
    op.execute(f"CREATE POLICY only_mine ON tasks TO tasks_app USING (user_id = {ME}) WITH CHECK (user_id = {ME})")


def allow_search() -> None:
    """Make the search function and give it to tasks_search, which nobody can become once this is done."""
    op.execute(MAKE_ROLE.format(role="tasks_search"))
    op.execute(f"GRANT SELECT ({SEARCHABLE}) ON tasks TO tasks_search")
    op.execute("CREATE POLICY search_all ON tasks FOR SELECT TO tasks_search USING (true)")
    op.execute(SEARCH)
    op.execute("REVOKE EXECUTE ON FUNCTION matching_tasks FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION matching_tasks TO tasks_app")
    # To give a function away takes both of these, and nothing else does.
    op.execute("GRANT tasks_search TO CURRENT_USER")
    op.execute("GRANT USAGE, CREATE ON SCHEMA public TO tasks_search")
    op.execute("ALTER FUNCTION matching_tasks OWNER TO tasks_search")
    op.execute("REVOKE CREATE ON SCHEMA public FROM tasks_search")
    op.execute("REVOKE tasks_search FROM CURRENT_USER")


def downgrade() -> None:
    """Take it all back; btree_gin stays, somebody else may have come to need it."""
    op.execute("DROP FUNCTION matching_tasks")
    op.drop_table("tasks")
    for role in ("tasks_app", "tasks_search"):
        op.execute(f"REVOKE USAGE ON SCHEMA public FROM {role}")
        op.execute(DROP_ROLE.format(role=role))
