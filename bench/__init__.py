"""Measurements: one file a question, results kept beside it. ``python -m bench`` lists the questions."""
