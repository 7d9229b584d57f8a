"""The yardstick of ttft: the openai package alone, a question a line on stdin, each delta printed as it comes.

usage: bench_plain_turns.py MODEL [HISTORY], HISTORY being a JSON file of messages
"""

import json
import os
import sys
from pathlib import Path

from openai import OpenAI

client = OpenAI(base_url=os.environ["OPENAI_BASE_URL"], api_key="none")
messages = json.loads(Path(sys.argv[2]).read_text("utf-8")) if sys.argv[2:] else []
print("> ", end="", flush=True)
for line in sys.stdin:
    messages.append({"role": "user", "content": line.strip()})
    answer = ""
    for chunk in client.chat.completions.create(model=sys.argv[1], messages=messages, stream=True):
        if chunk.choices and (delta := chunk.choices[0].delta.content):
            answer += delta
            print(delta, end="", flush=True)
    messages.append({"role": "assistant", "content": answer})
    print("\n> ", end="", flush=True)
