"""What reading a long text works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatcli.conversation.long_input.asking import PartReader
    from chatcli.conversation.long_input.budgets import Budgets
    from chatcli.conversation.long_input.dividing import Divided
    from chatcli.conversation.long_input.planning import Plan
    from chatcli.core.ports import TokenCounter


@dataclass(frozen=True, slots=True)
class Work:
    """A question about a text, the room there is, the plan, what counts, and who asks."""

    divided: Divided
    budgets: Budgets
    plan: Plan
    counter: TokenCounter
    reader: PartReader

    @property
    def name(self) -> str:
        """What the whole text is called."""
        text = self.divided.text
        return text.named(0, len(text.text))
