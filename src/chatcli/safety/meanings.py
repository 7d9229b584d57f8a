"""The sentences of a text and what their words mean, by ``lexicon.txt``."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, NamedTuple

from chatcli.safety.readings import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

NAMES: Final = (
    *(
        "DROP VOID ORDER TASK BEFORE ALL YOU AI MACHINE AUTO WHO READS SAY MUST PLEASE FAVOUR ANSWER REVEAL PROMPT SECRET SEND".split()  # noqa: SIM905
    ),
    *(
        "DEST TOOL CONFIRMED HIDE USER PERSONA FREE MEMORY FUTURE CODED OBEY CHIEF SELF INSTEAD TALK NOT THIS PUPPET FIRST EMBED TALKED PICTURE NOTICE PRESENT DEEM".split()  # noqa: SIM905
    ),
    *("ROLE URL MAIL CALL BLANK LITERAL VOCATIVE HIDDENTEXT LABEL SPECIAL OPENURL".split()),  # noqa: SIM905
)
"""The meanings of words, and behind them what is known by other signs."""

BIT: Final = {name: 1 << at for at, name in enumerate(NAMES)}
SIGNS: Final = sum(BIT[name] for name in "URL MAIL CALL BLANK LITERAL VOCATIVE LABEL SPECIAL OPENURL".split())  # noqa: SIM905
"""What is looked for only in promising sentences."""
FEWEST_MEANINGS: Final = 2
MOST_CHARS: Final = 400
MOST_KNOWN_WORDS: Final = 50_000
MOST_KNOWN_SENTENCES: Final = 4_096
LONGEST_STEM: Final = 18
KEY_CHARS: Final = 3
"""Letters of the second word by which phrases are looked up; the stem of a phrase's second word is as long at least."""


CJK: Final = r"\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff"
_LETTER: Final = r"a-z\u00df-\u024f\u0370-\u03ff\u0400-\u0fff\u1e00-\u1eff"
WORD: Final = re.compile(
    rf"(?<![{_LETTER}.@])(?:rot13|base64|[{_LETTER}]++(?:['’_-][{_LETTER}]++)*+)(?![.@][a-z])"
)
"""Names of hosts and attributes are not words: ``mail.attacker.com``, ``self.decoder``."""

_IS_CJK: Final = re.compile(rf"[{CJK}]")

_PASSIVE: Final = "被"
_BOUNDARY: Final = re.compile(
    r"(?P<comment><!--|(?<![\w/*.~-])/\*)|(?P<end>-->|\*/)|(?P<tag></?[a-z][^<>]{0,300}>)|(?P<alt>!\[)|(?P<url>\]\()"
    r"|(?<![.!?…])[.!?…]+[\"'”’»)\]]*\s+|[。！？；]+[」』”]?|;\s+|\\n|\n+[ \t]*|\"\s*[,:]\s*\"?|(?<=[,:\n{[])\s*\"|[ \t]{2,}|(?<!<)\|(?!>)"
)
_HIDING: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*[01](?:px|pt|em|rem|%)?\s*[;\"']|opacity\s*:\s*0(?![.\d]*[1-9])"
    r"|color\s*:\s*(?:white|#fff|transparent)|\shidden(?=[\s>])|aria-hidden|left\s*:\s*-\d{3}|text-indent\s*:\s*-\d{3}|sr-only"
)
_ATTRIBUTE: Final = re.compile(
    r"\b(?:alt|title|aria-label|content|summary|placeholder|value|data-[\w-]{1,30})\s*=\s*(?:\"([^\"]{12,})\"|'([^']{12,})')"
)
_SHOWN_TAG: Final = re.compile(
    r"</?(?:system|user|assistant|instructions?|prompt|admin|tool_?\w{0,10}|function\w{0,10}|developer|important|information)\b"
)
_ROLES: Final = re.compile(
    r"(?<!`)<\|?/?(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|end_header_id|eot_id|begin_of_text"
    r"|start_of_turn|end_of_turn|tool_call|tool_response|tool_result|function_results?|instructions?|developer|prompt|admin)\|?>"
    r"|\[/?(?:inst|sys|system|admin|developer|система|sistema|système|시스템)\b[^\]\n]{0,40}\]|\[\[[a-z ]{0,20}(?:admin|system|note)[a-z ]{0,20}\]\]|<</?sys>>"
    r"|(?<!#)#{2,8}\s{0,4}(?:end\s)?(?:new\s)?(?:system|developer|admin)"
    r"|^[\s>*\"'#/<!-]{0,6}(?:system|système|sistema|система)\**(?:\s+(?:message|prompt|note|override|update|alert|malfunction))?\**\s*[:：.]"
    r"|\brole\"?\s{0,4}:\s{0,4}\"?(?:system|developer)|(?<!-)-{2,80}\s{0,4}(?:begin|end)\s[^\n]{0,40}(?:prompt|instruction|system|admin)|\b(?:begin|end) admin override"
    r"|[【\[](?:系统|系統|システム|시스템)[^】\]\n]{0,12}[】\]]|^[\s#/<!-]{0,12}(?:系统|系統|システム|시스템)\s*[:：]|\{\{\s{0,4}system",
    re.MULTILINE,
)
_SIGNS: Final = re.compile(
    r"(?P<OPENURL>https?://[^\s\"'<>()]{4,300}[?&/]\w{0,20}=(?=[\s\"'.,)]|$))"
    r"|(?P<MAIL>[\w.+-]{1,40}@[\w-]{1,40}\.[a-z]{2,})"
    r"|(?P<URL>https?://|\bwww\.|\b[\w-]{2,30}\.(?:example|com|org|net|io|test)\b)"
    r"|(?P<CALL>\b[a-z]{2,20}(?:_[a-z]{2,20}){1,4}\b)"
    r"|(?P<BLANK>\{[a-z_ ]{2,40}\}|\[[a-z_ ]{3,30}\])"
    r"|(?P<LITERAL>[\"“„«「『<][^\"”»」』>\n]{2,200}[\"”»」』>]|(?<!\w)'[^'\n]{2,200}')"
)
_QUOTE: Final = re.compile(
    r"\"[^\"\n]{4,300}\"|[“„”][^“”\n]{4,300}[”“]|[«‹][^»›\n]{4,300}[»›]|「[^」\n]{3,300}」|『[^』\n]{3,300}』"
    r"|(?<!\w)['‘‚][^'‘’\n]{8,300}['’](?!\w)|`[^`\n]{3,300}`"
)
FEWEST_LETTERS_AROUND: Final = 12


class Mark(NamedTuple):
    """A meaning at a place of a sentence: ``place`` counts words, ``start`` and ``end`` characters."""

    place: int
    start: int
    end: int
    mask: int


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, a cell, a comment: ``start`` and ``end`` are in the reading, places in ``marks`` in the sentence.

    ``before`` holds the meanings of the sentence before it, ``line`` is the beginning of its line up to the sentence.
    """

    text: str
    line: str
    start: int
    end: int
    marks: Sequence[Mark]
    mask: int
    before: int
    about_attacks: bool
    briefed: bool


class Surroundings(NamedTuple):
    """What a text is: where it talks about attacks, whether it is a prompt, whether it shows templates of prompts.

    ``roles`` are the places of its role tokens.
    """

    talk: Sequence[int]
    roles: Sequence[int]
    briefed: bool
    templates: bool


class Lexicon:
    """Meanings of words and phrases; remembers the words it was asked for."""

    def __init__(self, lines: str) -> None:
        self._exact: dict[str, int] = {}
        self._stems: dict[str, int] = {}
        self._phrases: dict[str, dict[str, list[tuple[tuple[str, ...], int]]]] = {}
        self._known: dict[str, int] = {}
        unspaced: dict[str, int] = {}
        for line in lines.splitlines():
            name, *entries = line.split() or [""]
            if name not in BIT:
                continue
            for entry in (read(entry).text for entry in entries):
                words = entry.split("_")
                if _IS_CJK.search(entry):
                    unspaced[entry] = unspaced.get(entry, 0) | BIT[name]
                elif len(words) > 1:
                    phrases = self._phrases.setdefault(words[0].rstrip("*"), {})
                    phrases.setdefault(words[1].rstrip("*")[:KEY_CHARS], []).append(
                        (tuple(words[1:]), BIT[name])
                    )
                else:
                    table = self._stems if entry.endswith("*") else self._exact
                    table[entry.rstrip("*")] = table.get(entry.rstrip("*"), 0) | BIT[name]
        whole = {entry.replace("_", ""): mask for entry, mask in unspaced.items()}
        self._unspaced = {entry: _with_parts(entry, whole) for entry in whole}
        self._pattern = re.compile(_any_of(unspaced) if unspaced else r"(?!)")

    def _meaning(self, word: str) -> int:
        mask = self._known.get(word)
        if mask is None:
            if len(self._known) >= MOST_KNOWN_WORDS:
                self._known.clear()
            mask = self._exact.get(word, 0)
            for length in range(2, min(len(word), LONGEST_STEM) + 1):
                mask |= self._stems.get(word[:length], 0)
            self._known[word] = mask
        return mask

    @lru_cache(maxsize=MOST_KNOWN_SENTENCES)  # noqa: B019 - there is one lexicon
    def mask(self, text: str) -> int:
        """Return all meanings that may stand in a sentence; ``marks`` says which of its phrases do."""
        mask = 0
        before = ""
        known, phrases = self._known, self._phrases
        for word in WORD.findall(text):
            meaning = known.get(word)
            mask |= self._meaning(word) if meaning is None else meaning
            if before in phrases:
                for _, phrase in phrases[before].get(word[:KEY_CHARS], ()):
                    mask |= phrase
            before = word
        return mask

    def unspaced_mask(self, text: str) -> int:
        mask = 0
        for match in self._pattern.finditer(text):
            mask |= self._unspaced[match[0].replace(" ", "")]
        return mask

    @lru_cache(maxsize=MOST_KNOWN_SENTENCES)  # noqa: B019 - there is one lexicon
    def marks(self, text: str) -> Sequence[Mark]:
        """Return the meanings in a sentence, in order."""
        matches = list(WORD.finditer(text))
        words = [match[0] for match in matches]
        found = []
        for place, match in enumerate(matches):
            mask, end = self._meaning(words[place]), match.end()
            if words[place] in self._phrases and place + 1 < len(words):
                for rest, meaning in self._phrases[words[place]].get(words[place + 1][:KEY_CHARS], ()):
                    if _begins_with(words[place + 1 : place + 1 + len(rest)], rest):
                        mask |= meaning
                        end = max(end, matches[place + len(rest)].end())
            if mask:
                found.append(Mark(place, match.start(), end, mask))
        if _IS_CJK.search(text):
            starts = [match.start() for match in matches]
            for match in self._pattern.finditer(text):
                if text.startswith(_PASSIVE, match.start() - 1):
                    continue
                place = bisect_right(starts, match.start()) + match.start() // 2
                found.append(
                    Mark(place, match.start(), match.end(), self._unspaced[match[0].replace(" ", "")])
                )
            found.sort()
        return found


def _with_parts(entry: str, masks: Mapping[str, int]) -> int:
    """Return the meanings of an entry and of the entries inside it, which its match leaves no room for."""
    mask = 0
    for start in range(len(entry)):
        for end in range(start + 1, len(entry) + 1):
            mask |= masks.get(entry[start:end], 0)
    return mask


def _any_of(entries: Iterable[str]) -> str:
    """Return a pattern for the longest of some entries, branching letter by letter."""
    branches: dict[str, list[str]] = {}
    ends = False
    for entry in entries:
        if entry:
            branches.setdefault(entry[0], []).append(entry[1:])
        else:
            ends = True
    parts = [
        (" ?" if char == "_" else re.escape(char)) + _any_of(rest) for char, rest in sorted(branches.items())
    ]
    if not parts:
        return ""
    return f"(?:{'|'.join(parts)}){'?' if ends else ''}" if len(parts) > 1 or ends else parts[0]


def _begins_with(words: Sequence[str], wanted: Sequence[str]) -> bool:
    return len(words) == len(wanted) and all(
        word == want or (want[-1] == "*" and word.startswith(want[:-1]))
        for word, want in zip(words, wanted, strict=True)
    )


@cache
def lexicon() -> Lexicon:
    return Lexicon(files("chatcli.safety").joinpath("lexicon.txt").read_text("utf-8"))


def segments(text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield ``(start, end, hidden)`` of sentences, table cells, comments and attributes of a reading."""
    at, hidden = 0, False
    closing = 0
    for match in _BOUNDARY.finditer(text):
        kind = match.lastgroup
        if match[0] == "/*" and 0 <= closing < match.end():
            closing = text.find("*/", match.end())
        if kind == "tag" and _SHOWN_TAG.match(match[0]):
            continue
        yield from _pieces(at, match.start(), hidden=hidden)
        at = match.end()
        if kind in ("comment", "alt"):
            # A comment that nothing closes is none: ``rm /*``.
            hidden = hidden or match[0] != "/*" or closing > 0
        elif kind in ("end", "url"):
            hidden = False
        elif kind == "tag":
            hidden = bool(_HIDING.search(match[0]))
            for attribute in _ATTRIBUTE.finditer(match[0]):
                start, end = attribute.span(attribute.lastindex or 0)
                yield match.start() + start, match.start() + end, True
    yield from _pieces(at, len(text), hidden=hidden)


def _pieces(start: int, end: int, *, hidden: bool) -> Iterator[tuple[int, int, bool]]:
    while end - start > MOST_CHARS:
        yield start, start + MOST_CHARS, hidden
        start += MOST_CHARS // 2
    if end > start:
        yield start, end, hidden


_WRAP: Final = re.compile(r"\s*\n[ \t]*(?:#|//|>|\*|--)?\s*")


def _lines_joined(text: str, found: Iterable[tuple[int, int, bool]]) -> Iterator[tuple[int, int, bool]]:
    """Yield what is found, and each two lines that one line break parts."""
    before: tuple[int, int, bool] | None = None
    for start, end, hidden in found:
        yield start, end, hidden
        if (
            before
            and before[1] <= start <= before[1] + 12
            and end - before[0] <= MOST_CHARS
            and _WRAP.fullmatch(text, before[1], start)
        ):
            yield before[0], end, hidden
        before = start, end, hidden


def sentences(text: str, promising: Callable[[int], bool]) -> Iterator[Sentence]:
    """Yield the sentences of a reading whose meanings, as bits, are promising."""
    words = lexicon()
    has_cjk = bool(_IS_CJK.search(text))
    talk: list[int] = []
    kept: list[tuple[int, int, bool, int]] = []
    roles = [match.start() for match in _ROLES.finditer(text)]
    earlier = before = last = 0
    latest = -1
    for start, end, hidden in _lines_joined(text, segments(text)):
        if start < latest:
            mask, context = before | last, earlier
        else:
            latest = start
            part = text[start:end]
            mask = words.mask(part)
            if has_cjk and _IS_CJK.search(part):
                mask |= words.unspaced_mask(part)
            earlier, before, last = before, last, mask
            context = before
        if mask & BIT["TALK"]:
            talk.append(start)
        if roles and bisect_right(roles, end) > bisect_left(roles, start):
            mask |= BIT["ROLE"]
        if mask and promising(mask | (BIT["HIDDENTEXT"] if hidden else 0)):
            kept.append((start, end, hidden, context))
    around = Surroundings(
        talk,
        roles,
        bool(_BRIEF.match(text) or _BRIEFED_INSIDE.search(text))
        or len(_BLANKS.findall(text)) >= FEWEST_BLANKS,
        bool(_TEMPLATES.search(text)),
    )
    for start, end, hidden, context in kept:
        if not _CODE_LITERAL.search(text[_line_start(text, start) : start]):
            yield _sentence(text, start, end, hidden=hidden, before=context, around=around)


def _line_start(text: str, at: int) -> int:
    nearest = max(0, at - MOST_CHARS)
    return max(nearest, text.rfind("\n", nearest, at) + 1)


NEAR_CHARS: Final = 350
MOST_ROLE_CHARS: Final = 40
"""A role token so many characters before the line of an order belongs to it."""
_ADDRESS_END: Final = re.compile(r"(?:[へにさんな에게아야]{0,3}|[a-zа-яё]{0,2})[ \"”»)]{0,2}[:,：，、!—]")
_CALLING: Final = re.compile(
    r"\W*(?:if you are|if you're|should you be|dear|hello|hi|hey|attention|note to|to (?:the|any|all|every|each|whichever|whatever)|for (?:any|all)|falls du|wenn du|lieber?|an (?:alle|jede)"
    r"|si (?:vous|tu) (?:êtes|es)|à (?:toute?|tous|l')|chère?|si eres|querid[oa]|a (?:cualquier|tod)|se sei|car[oa]|se você|если ты|если вы|дорог|уважаем|любому|всем|如果你是|若你是|若您是|如果您是|致|亲爱|もしあなたが|만약)"
)
_ADDRESSED_MACHINES: Final = (
    *(
        "agent bot review reader system parser screening overview агент систем бот рецензент sistem systè".split()  # noqa: SIM905
    ),
    *"代理 系统 系統 評 评 システム 시스템 봇".split(),  # noqa: SIM905
)
FEW_WORDS: Final = 2
_LABELS: Final = tuple(
    "assistant bot ai ассистент assistente asistente アシスタント 助手 어시스턴트 assistent".split()  # noqa: SIM905
)
"""In front of a turn of a chat log; an order to an AI begins otherwise, or is hidden."""

_LABEL: Final = re.compile(r"[\s>*_\[\"']*")
MOST_WORDS_OF_ADDRESS: Final = 6
_BRIEF: Final = re.compile(
    r"\s*(?:#[^\n]{0,60}\s+)?(?:you are (?!now|no longer|running|dan)|you're an? |act as |i want you to act|your (?:task|role|job) is|as an? \w+"
    r"|du bist (?!jetzt|nun|kein)|sie sind |tu es (?!maint)|vous êtes |eres |actúa|ты (?!больше|теперь)|вы |sei un|você é |你是|您是|請你扮演|あなたは(?!もう|今)|당신은)"
)
_CODE_ROLE: Final = re.compile(r"[=(+{\[,:]\s{0,3}f?[\"'][^\"'\n]{0,40}<\|?[/\w]{2,20}\|?>")
_BRIEFED_INSIDE: Final = re.compile(
    r"(?:^|\n)[#*\s]{0,6}(?:you are an? (?!ai with)|your (?:task|goal|objective|role|job) is|you will be (?:given|provided)|# ?instructions?\b|你是一|你的任务是)"
    r"|respond (?:only )?(?:in|with) (?:valid )?json|return (?:only )?(?:a |valid )?json|output format"
)
_BLANKS: Final = re.compile(r"(?<![$%\w])\{{1,2} ?[a-z_]{3,30} ?\}{1,2}")
FEWEST_BLANKS: Final = 2
_TEMPLATES: Final = re.compile(
    r"```|\{%|chat.?template|tokeni[sz]er|special tokens?|jinja|\\n<\||(?:^|\n)(?:def|import|from|class) "
)
_SPECIAL: Final = re.compile(
    r"[\s>*#/<!-]{0,8}(?:<\|[\w]{2,20}\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>)\W{0,3}(?:\w+\W+){2}|[\s>*#/<!-]{0,8}(?:<\|[\w]{2,20}\|>\w{0,10}\s*){1,3}[^\x00-\x7f]{4}"
)
_USER_LABEL: Final = re.compile(
    r"[ \t>*#\[<]{0,8}(?:user|human|customer|nutzer|benutzer|utilisateur|usuario|utente|usuário|пользователь|用户|使用者|ユーザー|사용자)(?:\s*\([^)\n]{1,30}\))?[\]>*]{0,3}\s?[:：\]]"
)
_CODE_LITERAL: Final = re.compile(
    r"\w\s*=\s*[\[({]\s*[\"']|\w\([^)]{0,80}[\"']|\b(?:if|in|return)\s+[\[(]?[\"']|==\s*[\"']|^\s*[\"'][^\"'\n]{3,}[\"'],?\s*$"
)


def _addressed(mark: Mark, text: str, *, hidden: bool) -> Mark:
    """Return a mark that also tells whether an AI is addressed there: ``AI: …``, ``Assistant, …``."""
    is_ai = mark.mask & BIT["AI"]
    if not mark.mask & (BIT["AI"] | BIT["MACHINE"]) or mark.place > MOST_WORDS_OF_ADDRESS:
        return mark
    ends = _ADDRESS_END.match(text, mark.end)
    if not ends or (not is_ai and not text.startswith(_ADDRESSED_MACHINES, mark.start)):
        return mark
    if ends[0][-1] in ":：":
        is_label = (
            not hidden and _LABEL.fullmatch(text, 0, mark.start) and text.startswith(_LABELS, mark.start)
        )
    else:
        is_label = (not _CALLING.match(text) and (not is_ai or mark.place > FEW_WORDS)) or (
            mark.start > FEW_WORDS and not text[mark.start].isascii()
        )
    return mark if is_label else mark._replace(mask=mark.mask | BIT["VOCATIVE"])


@lru_cache(maxsize=MOST_KNOWN_SENTENCES)
def _signs_in(part: str) -> int:
    mask = 0
    for match in _SIGNS.finditer(part):
        mask |= BIT[match.lastgroup or "URL"]
    return mask


def _sentence(
    text: str, start: int, end: int, *, hidden: bool, before: int, around: Surroundings
) -> Sentence:
    part = text[start:end]
    marks = lexicon().marks(part)
    talk = around.talk
    near = bisect_right(talk, end + NEAR_CHARS) - bisect_right(talk, start - NEAR_CHARS)
    about_attacks = near > 1 or any(mark.mask & BIT["TALK"] for mark in marks)
    quotes = [match.span() for match in _QUOTE.finditer(part)]
    outside = len(part) - sum(stop - begin for begin, stop in quotes)
    if quotes and outside >= FEWEST_LETTERS_AROUND:
        marks = [mark for mark in marks if not any(begin <= mark.start < stop for begin, stop in quotes)]
    marks = [_addressed(mark, part, hidden=hidden) for mark in marks]
    mask = BIT["HIDDENTEXT"] if hidden else 0
    for mark in marks:
        mask |= mark.mask
    if _ROLES.search(part) and not _CODE_ROLE.search(part):
        mask |= BIT["ROLE"] | (BIT["SPECIAL"] if not around.templates and _SPECIAL.match(part) else 0)
    line = _line_start(text, start)
    if _USER_LABEL.match(text, line):
        mask |= BIT["LABEL"]
    mask |= _signs_in(part)
    opened = bisect_left(around.roles, start - MOST_ROLE_CHARS)
    if opened < len(around.roles) and text.count("\n", around.roles[opened], start) == 1:
        start = around.roles[opened]
    return Sentence(part, text[line:start], start, end, marks, mask, before, about_attacks, around.briefed)
