"""Freeze two real tables of the scientific Python stack into data/tables/ of the package.

    python -m tools.frozen.docstrings

They were made once and stay as they are, so that every reader's numbers agree: what is installed differs from one
machine to the next. `docstrings` holds what numpy, scipy, scikit-learn and matplotlib say of their public functions,
classes and methods; `usage` says which source files of installed packages use which public functions of numpy and of
the standard library.
"""

import ast
import importlib
import importlib.metadata
import inspect
import json
import lzma
import pathlib
import pkgutil
import sys
import sysconfig
import warnings
from collections import defaultdict

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTED = ("matplotlib", "numpy", "scipy", "sklearn")
PRIVATE = (
    "tests",
    "testing",
    "conftest",
    "setup",
    "externals",
    "f2py",
    "distutils",
    "pylab",
    "matlib",
    "lapack",
    "blas",
)
SHORTEST, LONGEST = 200, 20_000  # characters of a docstring worth a document
FEWEST = 5  # functions of a file, files of a function


def freeze(name: str, table: dict) -> None:
    """Write a table, packed."""
    content = json.dumps(table, ensure_ascii=True, separators=(",", ":")).encode()
    path = ROOT / "lowrank_helpers" / "data" / "tables" / f"{name}.xz"
    path.write_bytes(lzma.compress(content, preset=9 | lzma.PRESET_EXTREME))
    print(f"{path.name:20s}{len(content):9d} bytes, packed {path.stat().st_size:7d}")


def is_public(name: str) -> bool:
    """Say whether a dotted name has no private part, and none that is about tests or building."""
    return not any(part.startswith("_") or part in PRIVATE for part in name.split("."))


def public_modules(package: str) -> list[str]:
    """Return the names of a package's public modules, sorted, those left out that do not import."""
    names = [package]
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}.", onerror=lambda _: None):
        if is_public(module.name):
            names.append(module.name)
    return sorted(names)


def docstrings() -> dict[str, list[str]]:
    """Return names and texts: each text once, under the name of the module that it is from, or else its shortest."""
    names: dict[str, tuple[bool, int, str]] = {}
    for package in DOCUMENTED:
        for module_name in public_modules(package):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    module = importlib.import_module(module_name)
            except Exception:  # an optional dependency that is not there
                continue
            for name, thing in sorted(vars(module).items()):
                if name.startswith("_") or inspect.ismodule(thing) or not callable(thing):
                    continue
                home = (getattr(thing, "__module__", None) or module_name).split(".")[0]
                if home != package:
                    continue
                members = [(f"{module_name}.{name}", thing)]
                if inspect.isclass(thing):
                    members += [
                        (f"{module_name}.{name}.{method}", value)
                        for method, value in sorted(vars(thing).items())
                        if not method.startswith("_") and callable(value)
                    ]
                for dotted, value in members:
                    text = inspect.getdoc(value) or ""
                    if SHORTEST <= len(text) <= LONGEST:
                        rank = rank_of_name(dotted, thing)
                        names[text] = min(names.get(text, rank), rank)
    rows = sorted((name, text) for text, (_, _, name) in names.items())
    return {"names": [name for name, _ in rows], "texts": [text for _, text in rows]}


def rank_of_name(name: str, thing: object) -> tuple[bool, int, str]:
    """Order the names of one thing: those of its own public module first, then the shorter, then by the alphabet."""
    parts = (getattr(thing, "__module__", None) or "").split(".")
    public = [part for place, part in enumerate(parts) if is_public(".".join(parts[: place + 1]))]
    return not name.startswith(".".join(public)), name.count("."), name


def used_names(tree: ast.AST) -> set[str]:
    """Return the dotted names of numpy and of the standard library that a parsed file reaches through its imports."""
    wanted = {"numpy", *sys.stdlib_module_names} - {"__future__", "typing"}
    alias: dict[str, str] = {}
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for item in node.names:
                if item.name.split(".")[0] in wanted:
                    bound = item.asname or item.name.split(".")[0]
                    alias[bound] = item.name if item.asname else bound
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] in wanted:
            alias.update({item.asname or item.name: f"{node.module}.{item.name}" for item in node.names})
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            parts = [node.attr]
            value = node.value
            while isinstance(value, ast.Attribute):
                parts.append(value.attr)
                value = value.value
            if isinstance(value, ast.Name) and value.id in alias:
                used.add(".".join([alias[value.id], *reversed(parts)]))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in alias:
            used.add(alias[node.id])
    return {name for name in used if is_function(name)}


def is_function(name: str) -> bool:
    """Say whether a dotted name leads to a public function or class of an installed module."""
    if name not in IS_FUNCTION:
        IS_FUNCTION[name] = _is_function(name)
    return IS_FUNCTION[name]


IS_FUNCTION: dict[str, bool] = {}


def _is_function(name: str) -> bool:
    first, *rest = name.split(".")
    if not rest or not is_public(name):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            thing = importlib.import_module(first)
            for depth, part in enumerate(rest):
                if not hasattr(thing, part):
                    importlib.import_module(".".join([first, *rest[: depth + 1]]))
                holder, thing = thing, getattr(thing, part)
    except Exception:
        return False
    return inspect.ismodule(holder) and callable(thing)


def usage() -> dict[str, list]:
    """Return files, functions and, file by file, the positions of the functions that it uses."""
    root = pathlib.Path(sysconfig.get_path("purelib"))
    uses: dict[str, set[str]] = {}
    for path in sorted(root.rglob("*.py")):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        uses[path.relative_to(root).as_posix()] = used_names(tree)
    while True:  # leave out what is rare, until nothing is
        files_of = defaultdict(set)
        for file, names in uses.items():
            for name in names:
                files_of[name].add(file)
        often = {name for name, files in files_of.items() if len(files) >= FEWEST}
        kept = {file: names & often for file, names in uses.items() if len(names & often) >= FEWEST}
        if kept == uses:
            break
        uses = kept
    functions = sorted(set().union(*uses.values()))
    place = {name: k for k, name in enumerate(functions)}
    return {
        "files": list(uses),
        "functions": functions,
        "uses": [sorted(place[name] for name in names) for names in uses.values()],
    }


def main() -> None:
    """Write both, and say of which versions."""
    docs = docstrings()
    docs["versions"] = {
        name: importlib.metadata.version(name) for name in ("matplotlib", "numpy", "scikit-learn", "scipy")
    }
    freeze("docstrings", docs)
    print(len(docs["names"]), "docstrings")
    table = usage()
    freeze("usage", table)
    print(len(table["files"]), "files,", len(table["functions"]), "functions,", sum(map(len, table["uses"])), "uses")


if __name__ == "__main__":
    main()
