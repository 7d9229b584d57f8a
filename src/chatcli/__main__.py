"""The entry point: ``chatcli`` and ``python -m chatcli``."""

from __future__ import annotations

import gc
import os
import sys

_OBJECTS_BEFORE_THE_FIRST_COLLECTION = 200_000
_AFTER_THE_CALLBACK_S = 0.01


def main() -> int:
    """Run chatcli as this process and return its exit code; one that was asked to leave is gone at once."""
    try:
        # Importing makes many objects and hardly any garbage. By default the collector looks at them every 700 objects,
        # and at all of them once more when the process ends: a fifth of a short run. A conversation collects more often
        # once it is open, so that no collection takes long.
        gc.set_threshold(_OBJECTS_BEFORE_THE_FIRST_COLLECTION)
        sys.unraisablehook = raise_signal_again
        from chatcli.cli.main import main as run  # noqa: PLC0415 - Ctrl-C while it loads is no traceback
        from chatcli.cli.signals import EXIT_CODES  # noqa: PLC0415
        from chatcli.core.lazy_imports import import_packages_on_first_use  # noqa: PLC0415

        if os.environ.get("CHATCLI_NO_LAZY_IMPORT") != "1":
            import_packages_on_first_use()
        code = run()
    except KeyboardInterrupt:
        os._exit(130)
    except Exception as error:
        # The program reports its own errors: this is one of importing it, after an update that broke off.
        if "--debug" in sys.argv:
            raise
        raise SystemExit(
            f"chatcli: the installation is damaged: {type(error).__name__}: {error}\n"
            "→ install chatcli again (in a checkout: remove .venv, then start scripts/chat)"
        ) from None
    if code in EXIT_CODES.values():
        # Python would wait for every thread, and one may be asking a name server. Nothing is left in a buffer.
        os._exit(code)
    gc.freeze()
    return code


def raise_signal_again(dropped: sys.UnraisableHookArgs) -> None:
    """Raise a signal once more whose exception Python dropped, as a ``sys.unraisablehook``.

    A signal that comes while Python runs a callback of its own, as at the end of an import or in a finalizer, raises
    its exception there. Nothing receives it: without this, Ctrl-C would do nothing but print a traceback.
    """
    import signal  # noqa: PLC0415 - what is imported before the hook is in place, Ctrl-C may be lost in
    from threading import Timer, main_thread  # noqa: PLC0415 - as above

    number = (
        signal.SIGINT
        if isinstance(dropped.exc_value, KeyboardInterrupt)
        else getattr(dropped.exc_value, "number", None)
    )
    if number is None:
        sys.__unraisablehook__(dropped)
        return

    def send() -> None:
        if sys.platform == "win32":
            signal.raise_signal(number)
        else:
            # It also ends a wait of the main thread.
            signal.pthread_kill(main_thread().ident or 0, number)

    timer = Timer(_AFTER_THE_CALLBACK_S, send)
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        # ``python -m`` looks for modules in the working folder first, which may be a stranger's.
        del sys.path[0]
    sys.exit(main())
