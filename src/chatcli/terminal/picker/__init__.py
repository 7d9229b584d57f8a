"""Choosing a session from a list that is searched as the person types."""
