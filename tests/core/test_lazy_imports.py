"""Each test runs an interpreter of its own: the finder must be there before openai is imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from scripted_server import Answer, event_stream, serving_in_thread

if TYPE_CHECKING:
    from pathlib import Path

LAZILY = (
    "from chatcli.core.lazy_imports import import_packages_on_first_use; import_packages_on_first_use()\n"
)

PACKAGES = """
import pkgutil, random, sys, types, openai
import openai.lib._parsing
packages = ["openai.types", "openai.lib", "openai.lib._parsing", *(
    found.name for found in pkgutil.walk_packages(openai.types.__path__, "openai.types.") if found.ispkg
)]
def names(package):
    return [name for name in dir(sys.modules[package]) if not name.startswith("__")]
def is_module(value):
    return isinstance(value, types.ModuleType)
def described(value):
    is_named = isinstance(value, (type, types.FunctionType))
    return f"{value.__module__}.{value.__qualname__}" if is_named else repr(value)
"""


def output_of(program: str, *arguments: str, **environment: str) -> str:
    """Return what a program prints, whose warnings are errors."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


@pytest.fixture(scope="module")
def plain_names():
    """Return what every name of every package that is deferred stands for without the finder."""
    program = "print(json.dumps({package: {name: described(value) for name in names(package)"
    program += " if not is_module(value := getattr(sys.modules[package], name))} for package in packages}))"
    return json.loads(output_of(f"import json{PACKAGES}{program}"))


@pytest.mark.parametrize("order", ["0", "1"])
def test_every_name_is_what_it_is_without_the_finder_whichever_is_asked_for_first(
    plain_names, order, tmp_path
):
    listed = tmp_path / "names.json"
    listed.write_text(json.dumps(plain_names))
    found = output_of(
        f"""import json, pathlib
{LAZILY}{PACKAGES}
plain = json.loads(pathlib.Path(sys.argv[1]).read_text())
asked = [(package, name) for package in plain for name in plain[package]]
random.Random(0).shuffle(asked)
one_by_one = {{(package, name): getattr(sys.modules[package], name) for package, name in asked}}
assert packages == list(plain)
for package in packages:
    executed = {{name: value for name in names(package) if not is_module(value := getattr(sys.modules[package], name))}}
    assert executed.keys() == plain[package].keys(), package
    assert all(value is one_by_one[package, name] for name, value in executed.items())
print(json.dumps({{package: {{name: described(one_by_one[package, name]) for name in plain[package]}}
    for package in packages}}))
""",
        str(listed),
    )
    assert json.loads(found) == plain_names


def test_importing_openai_executes_few_of_its_types():
    count = "import sys, openai; print(sum(name.startswith('openai.types') for name in sys.modules))"
    assert int(output_of(LAZILY + count)) < int(output_of(count)) / 5


def test_importing_everything_gives_the_names_of_a_package(plain_names):
    star = f"from openai.types.chat import *; {{}}print(*sorted(globals()))"  # noqa: F541
    lazily = set(output_of(LAZILY + star.format("del import_packages_on_first_use; ")).split())
    assert lazily == set(output_of(star.format("")).split())
    assert lazily > {name for name in plain_names["openai.types.chat"] if not name.startswith("_")} - {
        "annotations"
    }


USES = {
    "a module as an attribute": "assert openai.types.audio.Transcription.__module__ == 'openai.types.audio.transcription'",
    "a name that is not there": "assert not hasattr(openai.types, 'Nobody') and not hasattr(openai.types, '__wrapped__')",
    "a name of a package that lists it nowhere": "assert openai.types.annotations.compiler_flag",
    "a module of a package": "from openai.types import chat_model, fine_tuning; assert fine_tuning.FineTuningJob",
    "pickling": """
import pickle
usage = openai.types.CompletionUsage(completion_tokens=1, prompt_tokens=2, total_tokens=3)
assert pickle.loads(pickle.dumps(usage)) == usage
assert pickle.loads(pickle.dumps(openai.types.Batch)) is openai.types.Batch""",
    "hints": """
import typing
hints = typing.get_type_hints(openai.types.chat.ChatCompletionFunctionToolParam)
assert hints['function'] is openai.types.shared_params.FunctionDefinition""",
    "a model of pydantic": """
import pydantic
class Kept(pydantic.BaseModel):
    reply: openai.types.chat.ChatCompletionMessage
assert isinstance(Kept.model_validate({'reply': {'role': 'assistant', 'content': 'Hi'}}).reply,
    openai.types.chat.chat_completion_message.ChatCompletionMessage)""",
    "looking at it": """
import inspect
assert ('Image', openai.types.Image) in inspect.getmembers(openai.types, inspect.isclass)
assert 'from .image import Image' in inspect.getsource(openai.types)
assert inspect.ismodule(openai.types) and inspect.getmodule(openai.types.Image).__name__ == 'openai.types.image'""",
    "loading it anew": """
import importlib
before = openai.types.Model
assert importlib.reload(openai.types).Model is before""",
    "a client's own methods": """
client = openai.OpenAI(api_key='none', base_url='http://127.0.0.1:1')
assert client.responses.with_raw_response and client.chat.completions.stream and client.beta and client.realtime""",
}  # fmt: skip


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_the_types_can_be_used_as_ever(use):
    output_of(f"{LAZILY}import openai\n{use}")


def test_threads_may_ask_for_names_all_at_once(plain_names, tmp_path):
    listed = tmp_path / "names.json"
    listed.write_text(json.dumps(plain_names))
    output_of(
        f"""import json, pathlib, random, sys, threading
{LAZILY}
plain = json.loads(pathlib.Path(sys.argv[1]).read_text())
packages = ["openai.types", "openai.types.chat", "openai.types.responses", "openai.types.graders", "openai.types.beta"]
asked = [(package, name) for package in packages for name in plain[package]]
sys.setswitchinterval(1e-5)
gate, found, errors = threading.Barrier(16), [], []
def ask(number):
    mine = random.Random(number).sample(asked, len(asked))
    gate.wait()
    try:
        import openai, openai.types.responses, openai.types.graders, openai.types.beta
        if number % 4 == 0:
            dir(openai.types.chat)
        found.append({{(package, name): getattr(sys.modules[package], name) for package, name in mine}})
    except BaseException as error:
        errors.append(error)
threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not errors, errors
assert all(each[place] is found[0][place] for each in found for place in asked)
""",
        str(listed),
    )


def in_a_package(folder: Path, types: str, openai: str = "", **modules: str) -> dict[str, str]:
    """Write a package called openai, and return the environment in which it is imported."""
    (folder / "openai" / "types").mkdir(parents=True)
    (folder / "openai" / "__init__.py").write_text(openai or "from . import types\n")
    (folder / "openai" / "types" / "__init__.py").write_text(types)
    for name, content in modules.items():
        (folder / "openai" / "types" / f"{name}.py").write_text(content)
    return {"PYTHONPATH": str(folder)}


ONE_CLASS = "class Batch: pass\n"


@pytest.mark.parametrize(
    "types",
    [
        "from .batch import *\n",
        "from .batch import Batch as Bundle\n",
        "from .batch import Batch as Batch\nMORE = 1\n",
        "from .batch import Batch as Batch; MORE = 1\n",
        "from .batch import Batch as Batch  # type: ignore\n",
        "import os\nfrom .batch import Batch as Batch\n",
        "from .batch import Batch as Batch\nfrom .other import batch as batch\n",
        "from .batch import (\n    Batch as Batch,\n    Other as Another,\n)\n",
        "try:\n    from .batch import Batch as Batch\nfinally:\n    pass\n",
    ],
)
def test_a_package_written_in_another_way_is_executed_at_once(tmp_path, types):
    environment = in_a_package(tmp_path, types, batch=f"{ONE_CLASS}Other = Batch\n", other="batch = 1\n")
    shown = output_of(f"{LAZILY}import openai, sys; print(type(openai.types).__name__)", **environment)
    assert shown == "module\n"


@pytest.mark.parametrize(
    "types",
    [
        "# A comment\n\nfrom __future__ import annotations\n\nfrom .batch import Batch as Batch\n",
        "from .batch import Batch\n",
        "from .batch import (\n    Batch as Batch,\n    Other as Other,\n)\n",
        "from .batch import Batch as Batch, Other as Other\n",
    ],
)
def test_a_package_of_imports_is_executed_when_it_is_used(tmp_path, types):
    environment = in_a_package(tmp_path, types, batch=f"{ONE_CLASS}Other = Batch\n")
    use = "import openai, sys; print('openai.types.batch' in sys.modules, openai.types.Batch.__name__)"
    assert output_of(LAZILY + use, **environment) == "False Batch\n"


def test_modules_that_need_the_order_of_their_package_get_it(tmp_path):
    environment = in_a_package(
        tmp_path,
        "from .first import First as First\nfrom .second import Second as Second\n",
        first="class First: pass\nfrom .second import Second\n",
        second="from .first import First\nclass Second(First): pass\n",
    )
    assert (
        output_of(f"{LAZILY}import openai; print(openai.types.Second.__mro__[1].__name__)", **environment)
        == "First\n"
    )


def test_openai_is_imported_without_the_finder_if_it_fails_with_it(tmp_path):
    suspicious = "import openai.types.batch, openai.types\nif type(openai.types).__name__ != 'module': raise TypeError\n"
    environment = in_a_package(tmp_path, "from .batch import Batch as Batch\n", suspicious, batch=ONE_CLASS)
    use = "import openai, openai.types.batch as batch, sys; assert openai.types.Batch is batch.Batch"
    shown = output_of(f"{LAZILY}{use}; print([type(each).__name__ for each in sys.meta_path])", **environment)
    assert "TypesFinder" not in shown


def test_what_is_wrong_with_openai_is_raised_as_ever(tmp_path):
    environment = in_a_package(
        tmp_path, "from .batch import Batch as Batch\n", "raise ImportError('broken')\n"
    )
    caught = f"{LAZILY}try: import openai\nexcept ImportError as error: print(error)"
    assert output_of(caught, **environment) == "broken\n"


def test_whoever_imports_chatcli_as_a_library_has_openai_as_it_is():
    use = "import chatcli, chatcli.app.wiring, chatcli.client.openai_model, openai; print(type(openai.types).__name__)"
    assert output_of(use) == "module\n"


def test_nothing_changes_for_whoever_has_imported_openai_already():
    assert (
        output_of(f"import sys, openai; before = [*sys.meta_path]; {LAZILY}assert sys.meta_path == before")
        == ""
    )


@pytest.mark.parametrize(("variables", "is_lazy"), [({}, True), ({"CHATCLI_NO_LAZY_IMPORT": "1"}, False)])
def test_the_program_does_so_unless_it_is_told_not_to(tmp_path, variables, is_lazy):
    folders = {f"CHATCLI_{kind}_DIR": str(tmp_path) for kind in ("CONFIG", "DATA", "CACHE")}
    with serving_in_thread(Answer(event_stream("Paris."))) as server:
        run = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "chatcli", "-m", "small", "Hi"],
            env={**os.environ, **folders, **variables, "OPENAI_BASE_URL": server.base_url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert run.stdout == "Paris.\n"
    assert ("openai.types.responses.response" not in run.stderr) == is_lazy
    assert "is not a setting" not in run.stderr


NAMES_OF_PROMPT_TOOLKIT = """
import prompt_toolkit, types
assert ("prompt_toolkit.shortcuts" in sys.modules) is is_executed
found = {name: getattr(prompt_toolkit, name) for name in ["VERSION", "choice", *prompt_toolkit.__all__, "search", "layout"]}
print({name: getattr(value, "__module__", value) for name, value in found.items() if not isinstance(value, types.ModuleType)})
from prompt_toolkit import *
assert prompt is found["prompt"] and __version__ == found["__version__"]
assert not hasattr(prompt_toolkit, "no_such_name")
"""


def test_prompt_toolkit_has_its_names_and_imports_its_shortcuts_when_they_are_asked_for():
    plain = output_of(f"import sys\nis_executed = True{NAMES_OF_PROMPT_TOOLKIT}")
    assert output_of(f"import sys\nis_executed = False\n{LAZILY}{NAMES_OF_PROMPT_TOOLKIT}") == plain
    assert "prompt_toolkit.shortcuts.prompt" in plain
