"""What answers cost: prices, what was spent, and where a budget ends."""
