"""Escape sequences on a Windows console."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _STANDARD_OUTPUT, _STANDARD_ERROR = -11, -12
    # https://learn.microsoft.com/windows/console/setconsolemode
    _ENABLE_VIRTUAL_TERMINAL_PROCESSING = 0x0004

    def obey_escapes() -> None:
        """Have the console obey escape sequences, which it shows as text until it is told otherwise."""
        kernel = ctypes.windll.kernel32
        for number in (_STANDARD_OUTPUT, _STANDARD_ERROR):
            handle, mode = kernel.GetStdHandle(number), wintypes.DWORD()
            if kernel.GetConsoleMode(handle, ctypes.byref(mode)):
                kernel.SetConsoleMode(handle, mode.value | _ENABLE_VIRTUAL_TERMINAL_PROCESSING)

else:

    def obey_escapes() -> None:
        """Do nothing: elsewhere every terminal obeys them."""
