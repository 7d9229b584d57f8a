"""Endpoints that know no ``system`` role: how they say so, and where the system prompt goes instead.

It is sent as ``system``, to who refuses that as ``developer``, and at last at the head of the first question. The names
of the roles that are refused stand in ``Request.without``, beside those of fields.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from chatcli.core.errors import BadResponse, RequestRefused, ServerFailed
from chatcli.core.messages import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatcli.core.errors import EndpointError
    from chatcli.core.request import Request

SYSTEM_ROLE: Final = "system role"
DEVELOPER_ROLE: Final = "developer role"
ROLES: Final = frozenset({SYSTEM_ROLE, DEVELOPER_ROLE})
"""What no field of a request is called: there is a space in them."""

_REFUSED_WITH: Final = {200, 400, 422}
_READ_CHARACTERS: Final = 10_000
"""More than any refusal says; a server may repeat the whole request."""
_NAME: Final = r"[\"'`]?(?:system|developer)[\"'`]?"
_WORD: Final = r"(?:roles?|messages?|prompts?|instructions?)"
_NOT_TAKEN: Final = (
    r"(?:unsupported|(?:not|n't)\s+(?:be\s+|yet\s+|currently\s+)?"
    r"(?:support|allow|permit|enabl|accept|available|recogni|one of|implement))"
)
_UNKNOWN: Final = r"(?:unsupported|unexpected|unknown|unrecogni[sz]ed|invalid|bad)"
_SAID: Final = re.compile(
    # Gemma's template: "System role not supported"; Google: "Developer instruction is not enabled for models/…".
    rf"\b{_NAME}\s+{_WORD}\b[^.]{{0,40}}?{_NOT_TAKEN}"
    # As Bedrock says it: "This model doesn't support system messages."
    rf"|{_NOT_TAKEN}\w*[^.]{{0,30}}?\b{_NAME}\s+{_WORD}\b"
    # Anthropic: 'messages: Unexpected role "system"'.
    rf"|{_UNKNOWN}\s+(?:message\s+)?role\W{{0,4}}{_NAME}"
    rf"|\brole\W{{0,4}}{_NAME}[^.]{{0,30}}?{_NOT_TAKEN}"
    # Mistral's first template: "Only user and assistant roles are supported!"
    r"|only\s+[\"'`]?user[\"'`]?,?\s+(?:and|or)\s+[\"'`]?(?:assistant|model)[\"'`]?\s+roles",
    re.IGNORECASE,
)
_PLACE: Final = re.compile(r"\b(?:messages|input)\W{1,4}\d+\W{1,5}role\b", re.IGNORECASE)
"""``messages[0].role`` (OpenAI, DeepSeek), ``messages.0.role`` (JSON Schema), ``"messages", 0, "role"`` (FastAPI)."""
_ANY_ROLE: Final = r"[\"'`](?:system|developer|user|assistant|function|tool|model)[\"'`]"
_ROLES_TAKEN: Final = re.compile(
    rf"{_ANY_ROLE}(?:\s{{0,2}},?\s{{0,2}}(?:\b(?:and|or)\b)?\s{{0,2}}{_ANY_ROLE})+", re.IGNORECASE
)
_ASSISTANT: Final = re.compile(r"assistant|model", re.IGNORECASE)
_FIRST_PLACE: Final = re.compile(r"\b(?:messages|input)\W{1,4}0\W{1,5}role\b", re.IGNORECASE)
"""The system prompt's."""
_ROLE_OUT_OF: Final = re.compile(
    r"\broles?\b[^.]{0,60}?(?:(?:should|must) be(?: one of)?|one of|allowed|expected|valid|permitted|supported)\W",
    re.IGNORECASE,
)
_NAMED: Final = re.compile(r"\b(?:system|developer)\b", re.IGNORECASE)


def refused_role(error: EndpointError, request: Request, without: frozenset[str]) -> str | None:
    """Return the role of the system prompt in force that ``error`` refuses, ``None`` where it is about something else.

    A request without a system prompt has no such role, and there is none left once the prompt is part of a question.
    """
    in_force = role_in_force(without)
    if in_force is None or not any(message.role == "system" for message in request.messages):
        return None
    # A template of a local server may fail after the answer's headers, or as an error of the server itself.
    is_refusal = isinstance(error, RequestRefused) and error.status in _REFUSED_WITH
    if not is_refusal and not isinstance(error, BadResponse | ServerFailed):
        return None
    said = (error.provider_message or error.message)[:_READ_CHARACTERS]
    return in_force if _is_about_role(f"{error.parameter or ''} {said}", in_force) else None


def system_prompt_moved(refused: str) -> str:
    """Return what becomes of the system prompt once a role is refused."""
    if refused == SYSTEM_ROLE:
        return "it is sent as developer"
    return "the system prompt is sent with the first question"


def role_in_force(without: frozenset[str]) -> str | None:
    """Return how the system prompt is sent, ``None`` where it is part of the first question."""
    return next((role for role in (SYSTEM_ROLE, DEVELOPER_ROLE) if role not in without), None)


def _is_about_role(said: str, in_force: str) -> bool:
    if _SAID.search(said):
        return True
    # Which roles are taken is often told as well, and at times nothing else.
    if _PLACE.search(said) and _NAMED.search(_ROLES_TAKEN.sub("", said)):
        return True
    taken = _ROLES_TAKEN.search(said)
    if taken is None or not _ASSISTANT.search(taken[0]):
        return False
    is_about_it = (_FIRST_PLACE if _PLACE.search(said) else _ROLE_OUT_OF).search(said)
    return bool(is_about_it and in_force.partition(" ")[0] not in taken[0].lower())


def with_prompt_in_question(messages: Sequence[Message]) -> Sequence[Message]:
    """Return ``messages`` with the words of the system's at the head of the first question."""
    instructions = tuple(part for message in messages if message.role == "system" for part in message.parts)
    others = [message for message in messages if message.role != "system"]
    for place, message in enumerate(others):
        if message.role == "user":
            others[place] = replace(message, parts=instructions + message.parts)
            return others
    return [Message("user", instructions), *others]
