"""Structured output: schemas in every notation, their forms for endpoints, and the check of answers against them."""
