"""The completion script for PowerShell 5.1 and newer.

Its lookups are ``switch -CaseSensitive``: the keys of a hashtable would be the same for ``-t`` and ``-T``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from chatcli.cli.shell_completion.grammar import Level, Option, Values

# Where the script offers nothing, PowerShell offers files. A word of a list may have a description behind a blank.
_SCRIPT: Final = r"""# Completion of chatcli in PowerShell: chatcli completion powershell | Out-String | Invoke-Expression

Register-ArgumentCompleter -Native -CommandName chatcli -ScriptBlock {
    param($current, $line, $cursor)

    function Find-Level($place) {
        switch -CaseSensitive ($place) {
@ENTER@
        }
    }

    function Find-OptionValues($place) {
        switch -CaseSensitive ($place) {
@OPTION@
        }
    }

    function Find-Words($context, $position) {
        switch -CaseSensitive ("${context}:$position", "${context}:*") {
@WORD@
        }
    }

    function Find-Options($context) {
        switch -CaseSensitive ($context) {
@OPTIONS@
        }
    }

    function New-Result($text, $description, $kind) {
        if (-not $description) { $description = $text }
        [System.Management.Automation.CompletionResult]::new($text, $text, $kind, $description)
    }

    $current = "$current"
    $context = ''
    $position = 0
    $found = $null
    foreach ($element in @($line.CommandElements | Select-Object -Skip 1)) {
        if ($element.Extent.EndOffset -ge $cursor) { break }
        $word = $element.Extent.Text.Trim("'", '"')
        if ($null -ne $found) {
            $found = $null
        } elseif ($word -ceq '--') {
            return
        } elseif ($word -clike '-?*') {
            $found = Find-OptionValues "${context}:$word"
        } else {
            $level = if ($position -eq 0) { Find-Level "${context}:$word" }
            if ($level) { $context = $level } else { $position += 1 }
        }
    }

    $before = ''
    if ($null -eq $found) {
        if ($current -cmatch '^--[^=]+=') {
            $before = $Matches[0]
            $current = $current.Substring($before.Length)
            $found = Find-OptionValues ($context + ':' + $before.TrimEnd('='))
        } elseif ($current.StartsWith('-')) {
            foreach ($option in @(Find-Options $context)) {
                $name, $description = $option -split ' ', 2
                if ($name.StartsWith($current, 'Ordinal')) { New-Result $name $description 'ParameterName' }
            }
            return
        } else {
            $found = Find-Words $context $position
        }
    }

    if ($found -ceq ':model-lists') {
        $found = ':models'
        $before += $current -creplace '[^,]*$'
        $current = $current -creplace '^.*,'
    }
    $found = @($found)
    if ($found[0] -cmatch '^:(?!files|anything)') {
        foreach ($name in @(chatcli completion --values $found[0].Substring(1) 2>$null)) {
            if (-not $name.StartsWith($current.Trim("'"), 'Ordinal')) { continue }
            $text = $before + $name
            if ($text -cnotmatch '^[\w./=-]+$') {
                $text = "'" + ($text -replace "['\u2018-\u201b]", '$0$0') + "'"
            }
            New-Result $text $name 'ParameterValue'
        }
    } elseif ($found[0] -and -not $found[0].StartsWith(':')) {
        foreach ($choice in $found) {
            $name, $description = $choice -split ' ', 2
            if ($name.StartsWith($current, 'Ordinal')) { New-Result ($before + $name) $description 'ParameterValue' }
        }
    }
}
"""
_QUOTES: Final = re.compile("['\u2018\u2019\u201a\u201b]")
"""Any of them ends a text in single quotes."""


def powershell_script(levels: Sequence[Level]) -> str:
    parts = {
        "@ENTER@": _entering(levels),
        "@OPTION@": _option_values(levels),
        "@WORD@": _words(levels),
        "@OPTIONS@": (_branch(level.path, _described(_names(level.options))) for level in levels),
    }
    script = _SCRIPT
    for place, branches in parts.items():
        script = script.replace(place, "\n".join(f"            {branch}" for branch in branches))
    return script


def _entering(levels: Sequence[Level]) -> Iterator[str]:
    for level in levels:
        above, _, word = level.path.rpartition(" ")
        if word:
            yield _branch(f"{above}:{word}", _quoted(level.path))


def _option_values(levels: Sequence[Level]) -> Iterator[str]:
    for level in levels:
        for option in level.options:
            if option.values is not None:
                for name in option.names:
                    yield _branch(f"{level.path}:{name}", _values(option.values))


def _words(levels: Sequence[Level]) -> Iterator[str]:
    for level in levels:
        for position, values in enumerate(level.words):
            is_repeated = level.repeats_last and position == len(level.words) - 1
            yield _branch(f"{level.path}:{'*' if is_repeated else position}", _values(values))


def _branch(key: str, result: str) -> str:
    return f"{_quoted(key)} {{ {result}; break }}"


def _names(options: Iterable[Option]) -> Iterator[tuple[str, str]]:
    return ((name, option.help) for option in options for name in option.names)


def _values(values: Values) -> str:
    return _described(values.choices) if values.choices else _quoted(f":{values.kind}")


def _described(words: Iterable[tuple[str, str]]) -> str:
    return ", ".join(_quoted(f"{word} {description}".rstrip()) for word, description in words)


def _quoted(text: str) -> str:
    """Return ``text`` in single quotes, inside which only a quote is escaped: it is doubled."""
    return "'" + _QUOTES.sub(lambda quote: quote[0] * 2, text) + "'"
