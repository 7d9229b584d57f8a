"""Which endpoint is asked, for which model, with which key, and where each was set. Never the key itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from chatcli.app.endpoint_settings import DEFAULT_MODEL, endpoint_at, refuse_key_in_clear
from chatcli.core.errors import ChatcliError
from chatcli.doctor.finding import of_error, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatcli.client.endpoint import Endpoint
    from chatcli.config.settings import Settings
    from chatcli.doctor.examination import Examination
    from chatcli.doctor.finding import Finding

_NAME = "config"
_SHOWN_WHEN_SET = ("profile", "api_version", "ca_bundle")


async def check(examination: Examination) -> Iterable[Finding]:
    settings, base_url = examination.settings, examination.base_url
    if settings is None:
        error = examination.error
        return [of_error(_NAME, error) if error else problem(_NAME, "the settings cannot be read")]
    findings = [warning(_NAME, told) for told in settings.warnings]
    if settings.unreadable_keys is not None:
        findings.append(of_error(_NAME, settings.unreadable_keys))
    if settings.untrusted is not None:
        findings.append(warning(_NAME, settings.untrusted.notice))
    if base_url is None and settings.unreadable_keys is not None:
        return findings
    if base_url is None:
        return [*findings, ok(_NAME, "no endpoint is configured; the built-in model is used")]
    findings.append(ok(_NAME, f"endpoint {base_url} ({settings.origin('base_url')})"))
    findings += _set(settings)
    try:
        examination.endpoint = await _endpoint(examination, settings, base_url)
    except ChatcliError as error:
        return [*findings, of_error(_NAME, error)]
    return [*findings, _model(examination, settings), _key(examination, settings)]


def _set(settings: Settings) -> Iterator[Finding]:
    for name in _SHOWN_WHEN_SET:
        if (value := getattr(settings, name)) is not None:
            yield ok(_NAME, f"{name} {value} ({settings.origin(name)})")


async def _endpoint(examination: Examination, settings: Settings, base_url: str) -> Endpoint:
    credential = settings.credential
    if credential is not None:
        refuse_key_in_clear(base_url, accepted=examination.insecure_http)
    return endpoint_at(
        base_url,
        settings,
        examination.world,
        # In a thread: a key may be in the system keyring, which is slow and may ask the person.
        key=await asyncio.to_thread(credential.secret.reveal) if credential else None,
        withheld=tuple(dict.fromkeys(credential.name for credential in settings.withheld)),
    )


def _model(examination: Examination, settings: Settings) -> Finding:
    if settings.model is not None:
        return ok(_NAME, f"model {settings.model} ({settings.origin('model')})")
    if examination.endpoint is not None and examination.endpoint.is_openai:
        return ok(_NAME, f"model {DEFAULT_MODEL} (default)")
    return ok(_NAME, "no model is set; the first one offered is used")


def _key(examination: Examination, settings: Settings) -> Finding:
    if settings.credential is not None:
        return ok(_NAME, f"a key is set ({settings.credential.source})")
    withheld = "; ".join(dict.fromkeys(credential.withheld_notice for credential in settings.withheld))
    if examination.endpoint is not None and examination.endpoint.is_openai:
        return problem(
            _NAME, f"no key is set{withheld and f'; {withheld}'}", "chatcli config login stores one"
        )
    return ok(_NAME, f"no key is set{withheld and f'; {withheld}'}")
