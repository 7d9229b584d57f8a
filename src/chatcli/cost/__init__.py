"""Costs of answers: prices, the ledger, and budgets."""
