"""Real servers for the tests: PostgreSQL, PgBouncer, and a network that can fail. Nothing here stands on onetrip."""
