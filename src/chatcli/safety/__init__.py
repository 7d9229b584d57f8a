"""Text from outside made safe to show. Standard library only."""
