"""How a turn is shown: observers of the one stream of events."""
