"""Choosing a session from a list that is searched while the person types."""
