"""Warnings about texts of others: orders to a model in what is attached, and data in what an answer links to."""
