"""The settings, their origins, and the keys with their endpoints."""
