"""Causes of failed connections, extracted from the exceptions of the libraries.

=================  =========  ====================================================================
code               retryable  what happened
=================  =========  ====================================================================
``dns``            yes        the host's name cannot be resolved
``refused``        yes        nothing listens on the port
``unreachable``    yes        there is no route to the host
``reset``          yes        the connection was cut
``tls``            no         no encrypted connection could be made, as where the server speaks plain HTTP
``tls_certificate``  no       the server's certificate is not trusted
``not_http``       yes        something answered that does not speak HTTP
``proxy``          mostly     the proxy cannot be reached, or refuses the connection
``proxy_auth``     no         the proxy wants a user name and password
``timed_out``      yes        too long without a connection, or without an answer
``network``        yes        anything else
=================  =========  ====================================================================
"""

from __future__ import annotations

import errno
import re
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx2
import openai

from chatcli.client.error_kinds import on_one_line
from chatcli.core.errors import NetworkError, TimedOut
from chatcli.text.lazy_pattern import lazy_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatcli.client.endpoint import Endpoint

_ERROR_NUMBER: Final = lazy_pattern(r"^\[Errno -?\d+\] ")
_STATUS: Final = lazy_pattern(r"\A(\d{3})\b")
_AUTHENTICATION_WORDS: Final = lazy_pattern(r"authenticat|username|password|credentials", re.IGNORECASE)

_UNREACHABLE_NAMES: Final = ("ENETUNREACH", "EHOSTUNREACH", "ENETDOWN", "EHOSTDOWN", "EADDRNOTAVAIL")
# Windows has its own numbers for these.
_UNREACHABLE: Final = {
    getattr(errno, name)
    for base in _UNREACHABLE_NAMES
    for name in (base, f"WSA{base}")
    if hasattr(errno, name)
}
_NOT_TLS: Final = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
_CLOSED: Final = ("disconnected", "peer closed", "incomplete")

_HTTP_SERVER_ERROR: Final = 500

# OpenSSL's numbers, X509_V_ERR_*: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_VERIFY_TIMES: Final = {9, 10}
_VERIFY_NAMES: Final = {62, 64}


def timed_out(endpoint: Endpoint, error: Exception) -> TimedOut:
    """Return the error for a timeout: of the connection, else of the answer."""
    cause = error.__cause__ if isinstance(error, openai.APITimeoutError) else error
    if isinstance(cause, httpx2.ConnectTimeout):
        limit_s = _limit_s(error, "connect", endpoint.connect_timeout_s)
        return TimedOut(
            f"{endpoint.host}: no connection within {limit_s:g} s{_through_proxy(endpoint)}",
            hint="check the address, the network and the proxy"
            if endpoint.proxy is None
            else f"check the network and {endpoint.proxy}",
        )
    limit_s = _limit_s(error, "read", endpoint.timeout_s)
    return TimedOut(
        f"{endpoint.host}: no answer within {limit_s:g} s{_through_proxy(endpoint)}",
        hint="try again, or allow more with --timeout"
        if limit_s == endpoint.timeout_s
        else "try again a little later",
    )


def _limit_s(error: Exception, what: str, usual_s: float) -> float:
    """Return the limit the request of ``error`` had: a list of models is given less time than an answer."""
    try:
        limits = error.request.extensions["timeout"]  # type: ignore[attr-defined]
    except (
        AttributeError,
        RuntimeError,
        KeyError,
    ):  # httpx2 raises RuntimeError where the error has no request
        return usual_s
    return limits.get(what) or usual_s


def stalled(host: str, limit_s: float) -> TimedOut:
    """Return the error for an answer that has begun and does not go on for ``limit_s``."""
    return TimedOut(
        f"{host}: nothing received for {limit_s:g} s",
        hint="try again, or allow more with idle_timeout_s",
    )


def not_reached(endpoint: Endpoint, error: Exception) -> NetworkError:
    """Return the error for a connection that failed or broke."""
    causes = list(_causes(error))
    faults = (_fault(endpoint, cause) for cause in causes)
    return next((fault for fault in faults if fault is not None), None) or _unnamed(endpoint, causes)


def proxy_auth_required(endpoint: Endpoint) -> NetworkError:
    """Return the error for status 407."""
    proxy = endpoint.proxy
    where = proxy or "a proxy on the way"
    reason = f"{where} refused the user name and password" if proxy and proxy.has_user else ""
    return NetworkError(
        f"{endpoint.host}: {reason or f'{where} needs a user name and password'}",
        hint=f"put them into {proxy.variable if proxy else 'HTTPS_PROXY'}: http://user:password@host:port, "
        "with %40 for an @ in the password",
        code="proxy_auth",
        retryable=False,
    )


def _fault(endpoint: Endpoint, cause: BaseException) -> NetworkError | None:
    errors = (error_of(endpoint, cause) for kinds, error_of in _FAULTS if isinstance(cause, kinds))
    return next(errors, None)


def _nothing(_endpoint: Endpoint, _cause: BaseException) -> None:
    """Ignore the state of a handshake that something else ended."""


def _unresolved(endpoint: Endpoint, _cause: BaseException) -> NetworkError:
    if endpoint.proxy is not None:
        return _proxy_not_reached(endpoint, "its name cannot be resolved")
    return NetworkError(
        f"{endpoint.host}: the name cannot be resolved",
        hint="check base_url for typos, and your network; behind a proxy set HTTPS_PROXY",
        code="dns",
    )


def _refused(endpoint: Endpoint, _cause: BaseException) -> NetworkError:
    if endpoint.proxy is not None:
        return _proxy_not_reached(endpoint, "nothing is listening")
    port = urlsplit(endpoint.base_url).port or (443 if endpoint.base_url.startswith("https") else 80)
    return NetworkError(
        f"{endpoint.host}: connection refused; nothing is listening on port {port}",
        hint="start the server, or correct base_url",
        code="refused",
    )


def _unreachable(endpoint: Endpoint, cause: OSError) -> NetworkError | None:
    if cause.errno not in _UNREACHABLE:
        return None
    reason = (cause.strerror or "there is no route").lower()
    if endpoint.proxy is not None:
        return _proxy_not_reached(endpoint, reason)
    return NetworkError(
        f"{endpoint.host}: cannot be reached: {on_one_line(reason)}",
        hint="check the network: cable, Wi-Fi, VPN",
        code="unreachable",
    )


def _cut(endpoint: Endpoint, _cause: BaseException) -> NetworkError:
    plain = endpoint.base_url.startswith("http:")
    return NetworkError(
        f"{endpoint.host}: the connection was cut{_through_proxy(endpoint)}",
        hint="try again; if it persists, check "
        + (f"{endpoint.proxy} and " if endpoint.proxy else "")
        + (
            "whether the server wants https:// in base_url"
            if plain
            else "the server and firewalls on the way"
        ),
        code="reset",
    )


def _not_http(endpoint: Endpoint, cause: httpx2.RemoteProtocolError) -> NetworkError:
    if any(word in str(cause) for word in _CLOSED):
        return _cut(endpoint, cause)
    # The library's message contains the server's other answer as bytes.
    return NetworkError(
        f"{endpoint.host}: sent something that is not HTTP{_through_proxy(endpoint)}",
        hint="check the port in base_url: another kind of server may be listening there",
        code="not_http",
    )


def _certificate(endpoint: Endpoint, cause: ssl.SSLCertVerificationError) -> NetworkError:
    return _not_believed(endpoint, cause.verify_message or str(cause), cause.verify_code)


def _not_believed(endpoint: Endpoint, reason: str, verify_code: int = 0) -> NetworkError:
    if verify_code in _VERIFY_TIMES:
        hint = "the server needs a new certificate, unless the clock of this machine is wrong"
    elif verify_code in _VERIFY_NAMES:
        hint = "base_url must have the name the certificate is for; chatcli doctor shows it"
    else:
        hint = (
            "name the file of the authority that signed it with ca_bundle or SSL_CERT_FILE; "
            "chatcli doctor shows the certificate"
        )
    if endpoint.proxy is not None:
        hint += f"; perhaps {endpoint.proxy} puts its own in place"
    return _tls_fault(endpoint, "its certificate is not trusted", reason, hint, code="tls_certificate")


def _no_tls(endpoint: Endpoint, cause: ssl.SSLError) -> NetworkError:
    reason = cause.reason or str(cause)
    if reason in _NOT_TLS:
        reason, hint = "it does not speak TLS", "write http:// in base_url if this server has no encryption"
    else:
        reason, hint = (
            reason.replace("_", " ").lower(),
            "the server, or something on the way, is outdated or misconfigured",
        )
    if endpoint.proxy is not None:
        hint += f"; check {endpoint.proxy}"
    return _tls_fault(endpoint, "no encrypted connection", reason, hint, code="tls")


def _tls_fault(endpoint: Endpoint, fault: str, reason: str, hint: str, *, code: str) -> NetworkError:
    return NetworkError(
        f"{endpoint.host}: {fault}: {on_one_line(reason)}", hint=hint, code=code, retryable=False
    )


def _proxy_refused(endpoint: Endpoint, cause: httpx2.ProxyError) -> NetworkError:
    """Return the error for a proxy's refusal: a status for CONNECT, a sentence for SOCKS."""
    reason = str(cause)
    status = int(found[1]) if (found := _STATUS.match(reason)) else None
    if status == httpx2.codes.PROXY_AUTHENTICATION_REQUIRED or (
        status is None and _AUTHENTICATION_WORDS.search(reason)
    ):
        return proxy_auth_required(endpoint)
    return NetworkError(
        f"{endpoint.host}: {endpoint.proxy or 'the proxy'} could not reach it: {on_one_line(reason)}",
        hint="ask who runs the proxy, or add the host to NO_PROXY",
        code="proxy",
        retryable=status is None or status >= _HTTP_SERVER_ERROR,
    )


def _proxy_not_reached(endpoint: Endpoint, reason: str) -> NetworkError:
    variable = endpoint.proxy.variable if endpoint.proxy else "HTTPS_PROXY"
    return NetworkError(
        f"{endpoint.host}: {endpoint.proxy} cannot be reached: {on_one_line(reason)}",
        hint=f"correct or unset {variable}, or add the host to NO_PROXY",
        code="proxy",
    )


def _unnamed(endpoint: Endpoint, causes: list[BaseException]) -> NetworkError:
    reason = next((str(cause) for cause in reversed(causes) if str(cause)), type(causes[0]).__name__)
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return _not_believed(endpoint, reason)
    return NetworkError(
        f"{endpoint.host}: {on_one_line(_ERROR_NUMBER.sub('', reason))}{_through_proxy(endpoint)}",
        hint="check that the server is running, and the network",
    )


_FAULTS: Final[tuple[tuple[Any, Callable[[Endpoint, Any], NetworkError | None]], ...]] = (
    ((ssl.SSLWantReadError, ssl.SSLWantWriteError), _nothing),
    (httpx2.ProxyError, _proxy_refused),
    (socket.gaierror, _unresolved),
    (ssl.SSLCertVerificationError, _certificate),
    ((ssl.SSLEOFError, ssl.SSLZeroReturnError), _cut),
    ((ConnectionResetError, ConnectionAbortedError, BrokenPipeError), _cut),
    (ssl.SSLError, _no_tls),
    (ConnectionRefusedError, _refused),
    (OSError, _unreachable),
    (httpx2.RemoteProtocolError, _not_http),
)
"""Errors by cause: the first row whose class matches."""


def _through_proxy(endpoint: Endpoint) -> str:
    return f", through {endpoint.proxy}" if endpoint.proxy else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and its causes; for parallel attempts, each."""
    pending: list[BaseException] = [error]
    while pending:
        cause = pending.pop(0)
        yield cause
        below = cause.__cause__ or cause.__context__
        if isinstance(cause, BaseExceptionGroup):
            pending += cause.exceptions
        elif below is not None:
            pending.append(below)
