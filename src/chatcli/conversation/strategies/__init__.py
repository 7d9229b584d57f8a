"""Context strategies: which turns are sent when not all of them fit."""
