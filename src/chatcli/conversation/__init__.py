"""The conversation: history, context, and one turn from question to reply."""
