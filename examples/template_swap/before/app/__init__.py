"""Users and items."""
