"""Prompt templates: files of words with places in them, read and filled in."""
