"""What calls took, cost and came to: kept, counted, watched."""
