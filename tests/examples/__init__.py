"""The tasks application keeps its promises."""
