"""Rows one above the other, each measured once a frame.

For one frame prompt_toolkit asks for the height of a window once for the frame, once for every level of the layout above
it, and once when it writes it; between two windows of an ``HSplit`` it puts a third. That was half the time of a frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prompt_toolkit.application.current import get_app
from prompt_toolkit.layout import ConditionalContainer, HSplit, Window
from prompt_toolkit.layout.dimension import Dimension

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.filters import Filter
    from prompt_toolkit.layout.containers import Container
    from prompt_toolkit.layout.controls import UIControl
    from prompt_toolkit.layout.mouse_handlers import MouseHandlers
    from prompt_toolkit.layout.screen import Screen, WritePosition


class _Measurement:
    """The height of a container in the frame being drawn."""

    def __init__(self) -> None:
        self._basis = (-1, 0)
        self._most = 0
        self._height = Dimension()

    def height(self, measure: Callable[[int, int], Dimension], width: int, most: int) -> Dimension:
        """Return what ``measure`` returns for ``width`` and at most ``most`` rows; it is called once a frame.

        A height that fits into fewer rows is the same with fewer rows.
        """
        basis, height = (get_app().render_counter, width), self._height
        if basis != self._basis or not (most == self._most or height.preferred <= most < self._most):
            self._basis, self._most, self._height = basis, most, measure(width, most)
        return self._height


class FittedWindow(Window):
    """A window that is as high as its content."""

    def __init__(self, content: UIControl, **options: Any) -> None:
        super().__init__(content, dont_extend_height=True, **options)
        self._measurement = _Measurement()

    def preferred_height(self, width: int, max_available_height: int) -> Dimension:
        return self._measurement.height(super().preferred_height, width, max_available_height)


class ShownIf(ConditionalContainer):
    """A container that is shown if its filter says so, which is asked once a frame."""

    def __init__(self, content: Container, filter: Filter) -> None:  # noqa: A002 - the base class's
        super().__init__(content, filter)
        self._measurement = _Measurement()

    def preferred_height(self, width: int, max_available_height: int) -> Dimension:
        return self._measurement.height(super().preferred_height, width, max_available_height)

    def write_to_screen(  # noqa: PLR0917 - the base class's
        self,
        screen: Screen,
        mouse_handlers: MouseHandlers,
        write_position: WritePosition,
        parent_style: str,
        erase_bg: bool,
        z_index: int | None,
    ) -> None:
        if write_position.height > 0:
            super().write_to_screen(screen, mouse_handlers, write_position, parent_style, erase_bg, z_index)


class Stack(HSplit):
    """Containers one above the other, without padding."""

    def __init__(self, children: list[Container]) -> None:
        super().__init__(children)
        self._measurement = _Measurement()

    def preferred_height(self, width: int, max_available_height: int) -> Dimension:
        return self._measurement.height(super().preferred_height, width, max_available_height)

    @property
    def _all_children(self) -> list[Container]:
        return self.children
