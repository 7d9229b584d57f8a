"""The certificates that connections trust."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from chatcli.core.errors import ConfigurationError
from chatcli.core.typed_paths import typed_path

if TYPE_CHECKING:
    from collections.abc import Mapping


def trusting(environment: Mapping[str, str], ca_bundle: str | None = None) -> ssl.SSLContext:
    """Return a context that trusts the system's certificates and those of ``ca_bundle``, a PEM file.

    SSL_CERT_FILE and SSL_CERT_DIR replace the system's, as in OpenSSL. Raise a ``ConfigurationError`` for a
    missing or invalid file.
    """
    file, folder = environment.get("SSL_CERT_FILE"), environment.get("SSL_CERT_DIR")
    if file or folder:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if file:
            _add_file(context, file, "SSL_CERT_FILE")
        if folder:
            _add_folder(context, folder)
    else:
        context = httpx2.create_ssl_context(trust_env=False)
    if ca_bundle:
        _add_file(context, ca_bundle, "ca_bundle")
    return context


def trust_source(environment: Mapping[str, str], ca_bundle: str | None) -> str:
    """Name the source of the trusted certificates."""
    named = [name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environment.get(name)]
    return " and ".join([*(named or ["the system's certificates"]), *(["ca_bundle"] if ca_bundle else [])])


def _add_file(context: ssl.SSLContext, name: str, setting: str) -> None:
    try:
        context.load_verify_locations(cafile=typed_path(name))
    except ssl.SSLError as error:
        raise _unusable(setting, name, "contains no PEM certificate") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "cannot be read"
        raise _unusable(setting, name, reason) from error


def _add_folder(context: ssl.SSLContext, name: str) -> None:
    if not Path(name).is_dir():
        raise _unusable("SSL_CERT_DIR", name, "is not a folder")
    context.load_verify_locations(capath=name)


def _unusable(setting: str, name: str, reason: str) -> ConfigurationError:
    return ConfigurationError(
        f"{setting} {name}: {reason}",
        hint=f"let {setting} point to PEM certificates (-----BEGIN CERTIFICATE-----), or unset it",
        code="ca_not_usable",
    )
