"""What runs here."""

from __future__ import annotations

import platform
import ssl
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from chatcli import __version__
from chatcli.doctor.finding import ok

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatcli.doctor.examination import Examination
    from chatcli.doctor.finding import Finding

_LIBRARIES = (
    "openai",
    "httpx2",
    "tiktoken",
    "rich",
    "prompt_toolkit",
    "keyring",
    "socksio",
    "truststore",
    "xllamacpp",
)


async def check(_examination: Examination) -> Iterable[Finding]:
    python = f"Python {platform.python_version()}"
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    found = ((name, _version(name)) for name in _LIBRARIES)
    libraries = ", ".join(f"{name} {number}" for name, number in found if number)
    return (
        ok("versions", f"chatcli {__version__}, {python}, {system}"),
        ok("versions", f"{libraries}, {ssl.OPENSSL_VERSION}"),
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
