"""The rules of the house, kept by a machine: imports, docstrings, argument order, sizes and names."""

import ast
import importlib
import inspect
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import bowen
from bowen import physics

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src" / "bowen").rglob("*.py"))
ARGUMENT_ORDER = ("model", "parameters", "state", "forcing", "features", "dt")
MOST_ROOT_MODULES = 4


def public_functions(package: ModuleType) -> list[Callable]:
    modules = [
        importlib.import_module(found.name) for found in pkgutil.iter_modules(package.__path__, "bowen.physics.")
    ]
    return [
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    ]


PROCESSES = public_functions(physics)


def section(doc: str, heading: str) -> str:
    """The indented text below a heading of a Google-style docstring."""
    found = re.search(rf"^{heading}:\n((?:    .*\n|\n)+)", doc + "\n", re.MULTILINE)
    return textwrap.dedent(found[1]) if found else ""


def documented_arguments(doc: str) -> dict[str, str]:
    parts = re.split(r"^(\w+): ", section(doc, "Args"), flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def in_a_new_python(code: str, **environment: str) -> dict:
    """Run code in a fresh interpreter; returns the JSON it prints last."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_", "MPLBACKEND"))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=plain | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_there_are_processes():
    assert PROCESSES


@pytest.mark.parametrize("function", PROCESSES, ids=lambda function: f"{function.__module__}.{function.__name__}")
def test_every_process_states_units_and_source(function):
    doc = inspect.getdoc(function) or ""
    arguments = documented_arguments(doc)
    for name in inspect.signature(function).parameters:
        assert re.search(r"\[[^\]]+\]$", arguments.get(name, "")), f"no unit ends the line of `{name}`"
    returned = inspect.signature(function).return_annotation
    its_fields_have_units = getattr(returned, "__module__", "").startswith("bowen.")
    assert re.search(r"\w" if its_fields_have_units else r"\[[^\]]+\]", section(doc, "Returns")), (
        "no unit in `Returns:`"
    )
    assert section(doc, "Source").strip(), "no `Source:`"


def signatures() -> Iterator[tuple[str, list[str]]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                named = [argument.arg for argument in node.args.posonlyargs + node.args.args]
                yield f"{path.name}:{node.lineno} {node.name}", [name for name in named if name in ARGUMENT_ORDER]


def test_arguments_come_in_one_order():
    wrong = {where: names for where, names in signatures() if names != sorted(names, key=ARGUMENT_ORDER.index)}
    assert not wrong, f"the order is {', '.join(ARGUMENT_ORDER)}"


def test_the_order_of_arguments_is_looked_at():
    assert sum(len(names) > 1 for _, names in signatures()) > 3


IMPORT_EVERYTHING = """
    import json, logging, os, pkgutil, sys
    before = dict(os.environ)
    import bowen
    light = sorted(sys.modules)
    for found in pkgutil.walk_packages(bowen.__path__, "bowen."):
        if not found.name.endswith("__main__"):
            __import__(found.name)
    from jax._src import xla_bridge
    import jax
    print(json.dumps({
        "light": light,
        "x64": jax.config.jax_enable_x64,
        "backends": sorted(xla_bridge._backends),
        "environment": sorted(set(before.items()) ^ set(os.environ.items())),
        "log_handlers": len(logging.getLogger().handlers),
    }))
"""


def test_importing_has_no_side_effects():
    seen = in_a_new_python(IMPORT_EVERYTHING)
    assert not {"jax", "matplotlib", "pandas", "xarray"} & set(seen.pop("light")), "`import bowen` is not light"
    assert seen == {"x64": False, "backends": [], "environment": [], "log_handlers": 0}


def test_training_waits_for_no_library_it_does_not_need():
    seen = in_a_new_python("""
        import json, sys
        import bowen.experiments.run, bowen.training.trainer
        print(json.dumps({name: name in sys.modules for name in ("diffrax", "matplotlib", "pvlib")}))
    """)
    assert seen == {"diffrax": False, "matplotlib": False, "pvlib": False}


def test_the_data_wing_never_starts_jax():
    seen = in_a_new_python("""
        import json, sys
        import pkgutil
        import bowen.data, bowen.evaluation, bowen.reporting
        for wing in (bowen.data, bowen.evaluation, bowen.reporting):
            for found in pkgutil.walk_packages(wing.__path__, f"{wing.__name__}."):
                __import__(found.name)
        bowen.read, bowen.score, bowen.report, bowen.inspect
        print(json.dumps({"jax": "jax" in sys.modules}))
    """)
    assert seen == {"jax": False}


@pytest.mark.parametrize("name", bowen.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert name == "__version__" or inspect.getdoc(getattr(bowen, name))


def test_no_module_hides_a_public_name():
    inside = (ROOT / "src" / "bowen").iterdir()
    modules = {path.stem for path in inside if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert not modules & set(bowen.__all__), "importing the module would take the place of the function: rename one"


def test_type_checkers_see_the_names_that_are_there():
    tree = ast.parse((ROOT / "src" / "bowen" / "__init__.py").read_text(encoding="utf-8"))
    imports = [
        node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bowen.")
    ]
    told = {alias.asname: f"{node.module}:{alias.name}" for node in imports for alias in node.names}
    errors = {name for name, home in told.items() if home.startswith("bowen.errors:")}
    assert {name: home for name, home in told.items() if name not in errors} == bowen._HOME
    assert set(told) | {"__version__"} == set(bowen.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'simulat'"):
        bowen.simulat  # noqa: B018 - the look-up is the test


def test_the_root_holds_rooms_and_few_modules():
    modules = [path.name for path in (ROOT / "src" / "bowen").iterdir() if path.suffix == ".py"]
    assert len(modules) <= MOST_ROOT_MODULES, modules


def test_import_contracts_are_kept():
    linter = shutil.which("lint-imports", path=Path(sys.executable).parent)
    assert linter, "import-linter is missing: install bowen[dev]"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_names_a_path_of_one_machine():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nobody knows which files are ours")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    one_machine = re.compile(r"(?<![\w.~/:}])/(?:home|root|tmp|work|Users)/\w")
    named = [
        f"{name}:{number}"
        for name in filter(None, listed.stdout.split("\0"))
        if (ROOT / name).is_file()
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8", errors="ignore").splitlines(), start=1)
        if one_machine.search(line)
    ]
    assert named == []


RIDDLES = re.compile(r"^(What|Whether|Where|How|Which|Of|All)\b", re.IGNORECASE)
STOP_LIST = re.compile(
    r"\b(told|tells|besides|in\s+the\s+place\s+of|as\s+(it|they)\s+comes?|lets\s+go|nobody|anybody|what\s+is|"
    r"arena|contests?|contestants?|strangers?)\b",
    re.IGNORECASE,
)
DEFINITIONS = (ast.Module, ast.ClassDef, ast.FunctionDef)
RENAMED = ROOT / "src" / "bowen" / "config" / "renamed.py"  # holds the old names


def docstrings() -> Iterator[tuple[str, str]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, DEFINITIONS) and (doc := ast.get_docstring(node)):
                yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)} {getattr(node, 'name', '')}", doc


def test_no_docstring_begins_with_a_question():
    assert [where for where, doc in docstrings() if RIDDLES.match(doc)] == []


def test_the_stop_list_is_empty():
    texts = [path for path in SOURCES if path != RENAMED]
    texts += [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1} {match[0]!r}"
        for path in texts
        for text in [path.read_text(encoding="utf-8")]
        for match in STOP_LIST.finditer(text)
    ]
    assert found == []


def public_definitions() -> Iterator[tuple[str, str]]:
    """Names that modules define at their top level, with where; commands are named by the user's words."""
    for path in SOURCES:
        module = str(path.relative_to(ROOT / "src"))
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else []
            targets += [node.target] if isinstance(node, ast.AnnAssign) else []
            names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            names += [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            yield from ((name, module) for name in dict.fromkeys(names) if not name.startswith("_"))


def test_no_two_public_definitions_share_a_name():
    homes: dict[str, set[str]] = {}
    for name, module in public_definitions():
        homes.setdefault(name, set()).add(module)
    assert {name: sorted(modules) for name, modules in homes.items() if len(modules) > 1} == {}


def test_every_public_name_is_in_the_glossary():
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert [name for name in bowen.__all__ if f"`{name}`" not in glossary] == []


def test_errors_have_one_form():
    """`where: what.` and `  fix: ...` are put together in one place."""
    texts = {path: path.read_text(encoding="utf-8") for path in SOURCES if path.name not in ("errors.py", "renamed.py")}
    assert [str(path.relative_to(ROOT)) for path, text in texts.items() if re.search(r"[\"'](\\n)?  fix: ", text)] == []
