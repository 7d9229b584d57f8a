"""The conversation with a person: the loop and the slash commands, over a frontend that shows and asks."""
