"""Small exports of other programs."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

BEGAN_S = 1_700_000_000.5
"""2023-11-14T22:13:20.500Z"""


def node(own, parent, message=None, children=()):
    return {"id": own, "parent": parent, "children": list(children), "message": message}


def message(role, *parts, content=None, at=BEGAN_S, recipient="all", **metadata):
    return {
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": at,
        "content": content or {"content_type": "text", "parts": list(parts)},
        "recipient": recipient,
        "metadata": metadata,
    }


def chatgpt(*nodes, own="c1", title="Trip", current=None, **fields) -> dict[str, Any]:
    """Return a conversation of ChatGPT's export with ``nodes``; children are derived from parents."""
    mapping = {each["id"]: each for each in nodes}
    for each in nodes:
        parent = mapping.get(each["parent"])
        if parent is not None and each["id"] not in parent["children"]:
            parent["children"].append(each["id"])
    return {
        "id": own,
        "conversation_id": own,
        "title": title,
        "create_time": BEGAN_S,
        "update_time": BEGAN_S + 60,
        "mapping": mapping,
        "current_node": current or nodes[-1]["id"],
        **fields,
    }


def exchange(own="c1", **fields) -> dict[str, Any]:
    """Return a conversation of one question and one answer."""
    return chatgpt(
        node("root", None),
        node(f"{own}-q", "root", message("user", f"About {own}?")),
        node(f"{own}-r", f"{own}-q", message("assistant", "Yes.", model_slug="gpt-4o", at=BEGAN_S + 30)),
        own=own,
        **fields,
    )


def write_json(path: Path, value) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def write_zip(path: Path, members) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            archive.writestr(name, value if isinstance(value, (str, bytes)) else json.dumps(value))
    return path


def make_database(path: Path, script: str) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.commit()
    connection.close()
    return path


# As llm's migrations leave them; what is not read here is left out.
LLM_LOG = """
create table log (id integer primary key, model text, timestamp text, prompt text, system text, response text,
  chat_id integer);
insert into log values (1, 'gpt-3.5', '2023-04-01 10:00:00', 'Hi?', 'Rhyme.', 'Hello', null);
insert into log values (2, 'gpt-3.5', '2023-04-01 10:01:00', 'And?', 'Rhyme.', 'Bye', 1);
insert into log values (3, 'gpt-3.5', '2023-04-02 10:00:00', 'Alone?', null, 'Yes', null);
"""
LLM_RESPONSES = """
create table conversations (id text primary key, name text, model text);
create table responses (id text primary key, model text, prompt text, system text, prompt_json text,
  options_json text, response text, response_json text, conversation_id text, duration_ms integer, datetime_utc text);
insert into conversations values ('01old', 'Old talk', 'gpt-4');
insert into responses values ('r1', 'gpt-4', 'One?', 'Rhyme.', null, '{}', 'First', null, '01old', 1500,
  '2024-01-01T10:00:00+00:00');
insert into responses values ('r2', 'gpt-4', 'Two?', 'Rhyme.', null, '{}', 'Second', null, '01old', 10,
  '2024-01-01T10:05:00');
insert into responses values ('r3', 'gpt-4', 'Alone?', null, null, '{}', 'Yes', null, null, null,
  '2024-01-02T10:00:00');
"""
LLM_FRAGMENTS = """
alter table responses add column input_tokens integer;
alter table responses add column output_tokens integer;
alter table responses add column reasoning text;
alter table responses add column resolved_model text;
create table fragments (id integer primary key, hash text, content text, datetime_utc text, source text);
create table prompt_fragments (response_id text, fragment_id integer, "order" integer);
create table system_fragments (response_id text, fragment_id integer, "order" integer);
create table attachments (id text primary key, type text, path text, url text, content blob);
create table prompt_attachments (response_id text, attachment_id text, "order" integer);
create table tool_calls (id integer primary key, response_id text, name text, arguments text, tool_call_id text);
create table tool_results (id integer primary key, response_id text, name text, output text, tool_call_id text);
insert into fragments values (1, 'h1', 'a long novel', null, null), (2, 'h2', 'Be terse.', null, null);
insert into prompt_fragments values ('r4', 1, 0);
insert into system_fragments values ('r4', 2, 0), ('r5', 2, 0);
insert into attachments values ('a1', 'image/png', null, 'https://a.example/x.png', null);
insert into prompt_attachments values ('r4', 'a1', 0);
insert into tool_calls values (1, 'r4', 'add', '{"a": 1}', 't1');
insert into tool_results values (1, 'r5', 'add', '42', 't1');
insert into conversations values ('02new', 'New talk', 'gpt-5');
insert into responses values ('r4', 'gpt-5', 'Sum up', 'Rhyme.', null, '{}', '', null, '02new', 10,
  '2025-01-01T10:00:00', 12, 3, 'hm', 'gpt-5-2025');
insert into responses values ('r5', 'gpt-5', '', 'Rhyme.', null, '{}', 'It is 42.', null, '02new', 10,
  '2025-01-01T10:00:10', null, null, null, null);
"""
LLM_THREADS = """
create table messages (hash text primary key, parent_hash text, role text, provider_metadata text);
create table parts (id integer primary key, message_hash text, position integer, type text, tool_name text, text text,
  payload text);
create table threads (id text primary key, name text, tip_message_hash text, forked_from text, datetime_utc text);
create table turns (id text primary key, thread_id text, parent_message_hash text, tip_message_hash text, model text,
  resolved_model text, input_tokens integer, output_tokens integer, duration_ms integer, datetime_utc text);
insert into messages values ('b2:s', null, 'system', null), ('b2:q', 'b2:s', 'user', null),
  ('b2:r', 'b2:q', 'assistant', null), ('b2:q2', 'b2:r', 'user', null), ('b2:t', 'b2:q2', 'assistant', null),
  ('b2:u', 'b2:t', 'tool', null), ('b2:r2', 'b2:u', 'assistant', null), ('b2:f', 'b2:q', 'assistant', null);
insert into parts (message_hash, position, type, text, payload) values
  ('b2:s', 0, 'text', 'Rhyme.', null),
  ('b2:q', 0, 'text', null, '{"text_ref": [{"literal": "Sum up "}, {"fragment": 1}]}'),
  ('b2:q', 1, 'attachment', null, '{"attachment": {"id": "a1"}}'),
  ('b2:r', 0, 'reasoning', 'hm', null), ('b2:r', 1, 'text', 'Done.', null),
  ('b2:q2', 0, 'text', 'And 1+1?', null),
  ('b2:t', 0, 'tool_call', null, '{"name": "add", "arguments": {"a": 1}}'),
  ('b2:u', 0, 'tool_result', null, '{"name": "add", "output": "2"}'),
  ('b2:r2', 0, 'text', 'Two.', null), ('b2:f', 0, 'text', 'Forked.', null);
insert into threads values ('03thread', 'Newest talk', 'b2:r2', null, '2026-01-01T10:00:00+00:00'),
  ('04fork', 'Fork', 'b2:f', '03thread', '2026-01-02T10:00:00+00:00'),
  ('05empty', 'Nothing', null, null, '2026-01-02T10:00:00+00:00');
insert into turns values
  ('t1', '03thread', 'b2:q', 'b2:r', 'gpt-6', null, 10, 2, 1000, '2026-01-01T10:00:00+00:00'),
  ('t2', '03thread', 'b2:q2', 'b2:t', 'gpt-6', null, 10, 2, 1000, '2026-01-01T10:01:00+00:00'),
  ('t3', '03thread', 'b2:u', 'b2:r2', 'gpt-6', 'gpt-6-x', 10, 2, 1000, '2026-01-01T10:02:00+00:00'),
  ('t4', '04fork', 'b2:q', 'b2:f', 'gpt-6', null, 10, 2, 1000, '2026-01-02T10:00:00+00:00');
"""
