"""The base of every test: a closed network, and no settings from the machine."""

from __future__ import annotations

import gc
import ipaddress
import os
import signal
import ssl
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme
from hypothesis import HealthCheck, settings

from redis_server import REDIS, running_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Several test processes on two busy cores: a deadline would measure the machine. Every run tries the same few examples,
# so that it says the same on every machine; scripts/test --slow and scripts/fuzz look for new ones, at length.
SLOW_IS_FINE = (HealthCheck.too_slow,)
settings.register_profile(
    "every-run", deadline=None, derandomize=True, max_examples=40, suppress_health_check=SLOW_IS_FINE
)
settings.register_profile("at-length", deadline=None, max_examples=200, suppress_health_check=SLOW_IS_FINE)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "every-run"))

LOCAL_MODEL_FOLDER = Path(
    os.environ.get("CHATCLI_LOCAL_DIR") or Path(__file__).parent.parent / ".local-model"
)

_FOREIGN_PREFIXES = ("CHATCLI_", "OPENAI_")
_FOREIGN_NAMES = (
    "NO_COLOR",
    "FORCE_COLOR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
)


def _refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse connections beyond loopback, whichever library makes them."""
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return
    host = str(arguments[1][0])
    if host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise RuntimeError(f"a test tried to reach {host}: the network is closed")


sys.addaudithook(_refuse_the_network)


# What collecting makes, it keeps: searching it for garbage would be a fifth of the work.
gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Prepare the process for the tests, once: an autouse fixture would be looked up for every one of them."""
    _forget_the_settings_of_this_machine()
    session.config.add_cleanup(_trust_an_authority_that_signs_nothing())
    _take_signals_as_a_terminal_leaves_them()
    # Ten thousand tests and all they import are left out of every search for garbage, which some tests make often.
    gc.enable()
    gc.collect()
    gc.freeze()


def _forget_the_settings_of_this_machine() -> None:
    for name in list(os.environ):
        if name.startswith(_FOREIGN_PREFIXES) or name in _FOREIGN_NAMES:
            del os.environ[name]
    os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"


def _trust_an_authority_that_signs_nothing() -> Callable[[], None]:
    """Let the system trust no other, and return what undoes that: to read a hundred takes 20 ms for each connection."""
    undoing = ExitStack()
    file = undoing.enter_context(trustme.CA().cert_pem.tempfile())
    paths = ssl.get_default_verify_paths()._replace(openssl_cafile=file, openssl_capath="")
    undoing.enter_context(pytest.MonkeyPatch.context()).setattr(
        ssl, "get_default_verify_paths", lambda: paths
    )
    return undoing.close


def _take_signals_as_a_terminal_leaves_them() -> None:
    """Undo ``nohup`` and a shell's ``&``: a signal ignored here would be ignored in every program started here."""
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def local_model_folder() -> Path:
    """Give the folder of the embedded model's weights, which ``scripts/test`` fills."""
    if not any(LOCAL_MODEL_FOLDER.glob("*.gguf")):
        pytest.fail("the embedded model is missing: run scripts/test once, which fetches it")
    return LOCAL_MODEL_FOLDER


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a Redis server of the tests, each test process has its own; the tests share what it keeps."""
    if REDIS is None:
        pytest.skip("needs redis-server")
    with running_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


SKIPPED = pytest.StashKey[Counter[str]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    reports = terminalreporter.stats.get("skipped", [])
    config.stash[SKIPPED] = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in reports)


def pytest_unconfigure(config: pytest.Config) -> None:
    """List, as the very last line, what the skipped tests lacked."""
    if (skipped := config.stash.get(SKIPPED, None)) is None:
        return
    reasons = "; ".join(f"{reason} ({count})" for reason, count in skipped.most_common())
    sys.stdout.write(f"skipped: {reasons or 'nothing'}\n")
