"""The scripts in their shells, if those are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from shlex import quote

import pytest

from chatcli.cli.shell_completion.completion_scripts import SCRIPTS
from chatcli.cli.shell_completion.grammar import read_levels

BASH, ZSH, FISH = (shutil.which(shell) for shell in ("bash", "zsh", "fish"))

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the shells of Windows have no scripts")


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    levels = read_levels()
    for shell, script in SCRIPTS.items():
        (folder / shell).write_text(script(levels))
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Yield an empty working folder, with a chatcli that knows some names and records calls."""
    program = tmp_path / "bin" / "chatcli"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/asked\n'
        'case "$3" in sessions) printf "%s\\n" work "a trip" \'$(touch pwned)\' ;; profiles) echo fast ;; '
        'models) printf "%s\\n" best vendor/sonnet qwen3:8b qwen3:latest ;; esac\n'
    )
    program.chmod(0o755)
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "notes.md").touch()
    (folder / "sub").mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.chdir(folder)
    return folder


def in_bash(scripts, *words):
    words = ("chatcli", *words)
    line = (
        f"source {scripts}/bash; COMP_WORDS=({' '.join(map(quote, words))}); COMP_CWORD={len(words) - 1}; _chatcli;"
        ' ((${#COMPREPLY[@]})) && printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return _lines([BASH, "--norc", "-c", line])


def in_zsh(scripts, *words):
    # compadd and the like work only while a key is handled; their arguments are compared instead.
    line = rf"""
        compdef() {{ : }}
        compadd() {{ while [[ $1 == -* ]]; do [[ $1 == -- ]] && {{ shift; break }}; shift; done; offered+=("$@") }}
        _describe() {{ offered+=("${{described[@]%%:*}}") }}
        _files() {{ offered+=(${{PREFIX}}*(N)) }}
        compset() {{ [[ $PREFIX == ${{~2}}* ]] && PREFIX=${{PREFIX##${{~2}}}} }}
        source {scripts}/zsh
        words=({" ".join(map(quote, ("chatcli", *words)))}); CURRENT=$#words; PREFIX=$words[CURRENT]; offered=()
        _chatcli
        for word in $offered; do [[ $word == $PREFIX* ]] && print -r -- $word; done; true
    """
    return _lines([ZSH, "-f", "-c", line])


def in_fish(scripts, *words):
    line = f"source {scripts}/fish; complete -C {quote(' '.join(['chatcli', *words]))}"
    environment = {**os.environ, "HOME": str(scripts), "XDG_CONFIG_HOME": str(scripts)}
    return [line.partition("\t")[0] for line in _lines([FISH, "-N", "-c", line], environment)]


def _lines(command, environment=None):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture(
    params=[
        pytest.param(in_bash, id="bash", marks=pytest.mark.skipif(BASH is None, reason="needs bash")),
        pytest.param(in_zsh, id="zsh", marks=pytest.mark.skipif(ZSH is None, reason="needs zsh")),
        pytest.param(in_fish, id="fish", marks=pytest.mark.skipif(FISH is None, reason="needs fish")),
    ]
)
def complete(request, scripts, here):
    return lambda *words: sorted(request.param(scripts, *words))


def test_options_are_completed(complete):
    assert complete("--tempe") == ["--temperature"]
    assert complete("--no-s") == ["--no-save", "--no-stdin", "--no-stream"]
    assert complete("sessions", "export", "--who") == ["--whole-tree"]
    assert complete("sessions", "list", "--who") == []


def test_commands_and_their_actions_are_completed(complete):
    assert complete("sess") == ["sessions"]
    assert complete("-q", "sess") == ["sessions"]
    assert complete("sessions", "ex") == ["export"]
    assert complete("config", "log") == ["login", "logout"]
    assert complete("completion", "b") == ["bash"]


def test_a_command_is_only_the_first_word(complete):
    assert complete("hello", "sess") == []
    assert complete("-m", "sessions", "ex") == []
    assert complete("--", "sess") == []


def test_choices_are_completed(complete):
    assert complete("-o", "j") == ["json", "jsonl"]
    assert complete("--api", "") == ["chat", "responses"]
    assert complete("sessions", "export", "--format", "h") == ["html"]


def test_files_are_completed_where_files_are_meant(complete):
    assert [name.rstrip("/") for name in complete("-f", "no")] == ["notes.md"]
    assert [name.rstrip("/") for name in complete("sessions", "import", "")] == ["notes.md", "sub"]
    assert complete("--seed", "no") == []
    assert complete("sessions", "list", "no") == []


def test_names_come_from_the_program_and_are_never_evaluated(complete, here):
    assert complete("-p", "") == ["fast"]
    assert complete("-s", "w") == complete("sessions", "show", "work", "w") == ["work"]
    trip, *_ = complete("-s", "a")
    assert trip.replace("\\", "") == "a trip"
    assert len(complete("-s", "")) == 3
    assert not (here / "pwned").exists()


def test_each_name_of_a_list_of_models_is_completed(complete):
    assert [name.rpartition(",")[2] for name in complete("--compare", "best,ve")] == ["vendor/sonnet"]
    assert [name.rpartition(",")[2] for name in complete("--compare", "a,b,")] == complete("-m", "")
    assert complete("--compare", "ve") == ["vendor/sonnet"]


def test_aliases_and_models_are_completed(complete):
    assert complete("-m", "b") == ["best"]
    assert complete("--model", "vendor/so") == ["vendor/sonnet"]
    assert [name.replace("\\", "") for name in complete("-m", "qwen3")] == ["qwen3:8b", "qwen3:latest"]
    assert complete("-m", "qwen3:8b", "sess") == ["sessions"]


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_bash_takes_the_parts_of_a_name_with_a_colon_for_words(scripts, here):
    assert in_bash(scripts, "-m", "qwen3", ":", "l") == ["latest"]
    assert sorted(in_bash(scripts, "-m", "qwen3", ":")) == ["8b", "latest"]
    assert in_bash(scripts, "-m", "qwen3", ":", "8b", "sess") == ["sessions"]
    assert in_bash(scripts, "-m", "qwen3", ":", "8b", "-o", "jsonl") == ["jsonl"]
    assert in_bash(scripts, "--model", "=", "qwen3", ":", "8") == ["8b"]
    assert in_bash(scripts, "--compare", "qwen3", ":", "8b,be") == ["8b,best"]
    assert in_bash(scripts, "--compare", "best,qwen3", ":", "l") == ["latest"]


def test_what_stands_in_the_script_needs_no_program(complete, here):
    complete("--tempe"), complete("sess"), complete("-o", "j"), complete("-f", "")
    assert not (here.parent / "asked").exists()


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_bash_takes_a_value_behind_an_equals_sign_for_words_of_their_own(scripts, here):
    assert in_bash(scripts, "--output", "=", "j") == ["json", "jsonl"]
    assert in_bash(scripts, "--output", "=") == ["text", "markdown", "json", "jsonl"]
    assert in_bash(scripts, "--out", "=", "x", "--tempe") == ["--temperature"]


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_a_system_prompt_is_a_file_behind_an_at_sign(scripts, here):
    assert in_bash(scripts, "-S", "@no") == ["@notes.md"]
    assert in_bash(scripts, "-S", "no") == []


@pytest.mark.skipif(FISH is None, reason="needs fish")
def test_fish_completes_behind_an_equals_and_an_at_sign(scripts, here):
    assert in_fish(scripts, "--output=j") == ["--output=json", "--output=jsonl"]
    assert in_fish(scripts, "-S", "@no") == ["@notes.md"]


@pytest.mark.skipif(ZSH is None, reason="needs zsh")
def test_zsh_completes_behind_an_equals_and_an_at_sign(scripts, here):
    assert in_zsh(scripts, "--output=j") == ["json", "jsonl"]
    assert in_zsh(scripts, "-S", "@no") == ["notes.md"]


@pytest.mark.skipif(ZSH is None, reason="needs zsh")
def test_zsh_at_a_real_prompt(scripts, here, tmp_path):
    shutil.copy(scripts / "zsh", tmp_path / "_chatcli")
    script = tmp_path / "typed.zsh"
    script.write_text(
        rf"""
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell "fpath=({tmp_path} \$fpath); autoload -Uz compinit; compinit -u -D; PS1='> '; unsetopt zle_bracketed_paste 2>/dev/null"
        zpty -w shell "print rea''dy"
        zpty -r -m shell seen '*ready*'
        zpty -w -n shell $'chatcli sessions export --whol\t'
        zpty -r -m shell seen '*--whole-tree*' && print found
        zpty -d shell
        """
    )
    assert "found" in _lines([ZSH, "-f", str(script)])
