"""Prompt templates: texts with placeholders, read and filled in."""
