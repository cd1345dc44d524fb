"""Plant wrong code in the package with cosmic-ray, 300 places drawn with a seed, and list what no test notices.

    pip install cosmic-ray                                  into an environment that has all that the tests need
    python -m tools.mutate_package draw                     writes _build/mutants.sqlite
    cosmic-ray exec _build/mutants.toml _build/mutants.sqlite
    python -m tools.mutate_package report

Each mutant meets the tests of its own module, then those of its room, until the first that fails; not the sweeps, the
claims and the chapters, which may know more. cosmic-ray changes the files in place: run this in a clone of its own.
"""

import argparse
import ast
import pathlib
import random
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = ("linalg", "svd", "decomposition", "lora")
SESSION = ROOT / "_build" / "mutants.sqlite"
SETTINGS = SESSION.with_suffix(".toml")
# Left out: what can only raise at once on arrays, and decorators and exceptions, which are no computation.
SENSELESS = ("Shift", "Bit", "Decorator", "ExceptionReplacer", "Is_", "IsNot_")


def annotated(path: str) -> set[int]:
    """The lines of a module that hold nothing that is computed: annotations and overloads."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        notes = [getattr(node, "annotation", None), getattr(node, "returns", None)]
        if isinstance(node, ast.FunctionDef) and any("overload" in ast.unparse(d) for d in node.decorator_list):
            notes.append(node)
        for note in filter(None, notes):
            lines |= set(range(note.lineno, (note.end_lineno or note.lineno) + 1))
    return lines


def draw(count: int, seed: int) -> None:
    """Have cosmic-ray list all mutants; keep one at each of so many places."""
    from cosmic_ray.work_db import WorkDB, use_db

    SESSION.parent.mkdir(exist_ok=True)
    SESSION.unlink(missing_ok=True)
    rooms = ", ".join(f'"lowrank_helpers/{room}"' for room in ROOMS)
    SETTINGS.write_text(
        f'[cosmic-ray]\nmodule-path = [{rooms}]\ntimeout = 1200.0\nexcluded-modules = ["**/__init__.py"]\n'
        f'test-command = "{sys.executable} -m tools.mutate_package test"\n'
        '[cosmic-ray.distributor]\nname = "local"\n',
        encoding="utf-8",
    )
    subprocess.run([pathlib.Path(sys.executable).with_name("cosmic-ray"), "init", SETTINGS, SESSION], check=True)
    with use_db(SESSION, WorkDB.Mode.open) as database:
        places: dict[tuple[object, ...], list[object]] = {}
        without = {path: annotated(path) for path in {str(i.mutations[0].module_path) for i in database.work_items}}
        for item in sorted(database.work_items, key=lambda item: str(item.mutations[0])):
            mutation = item.mutations[0]
            path, line = str(mutation.module_path), mutation.start_pos[0]
            if line not in without[path] and not any(word in mutation.operator_name for word in SENSELESS):
                places.setdefault((path, mutation.start_pos, mutation.end_pos), []).append(item)
        chance = random.Random(seed)
        chosen = chance.sample(sorted(places, key=str), min(count, len(places)))
        kept = [chance.choice(places[place]) for place in chosen]
        database.clear()
        database.add_work_items(kept)
    print(f"{len(kept)} mutants, one at each of {len(kept)} of {len(places)} places")


def changed() -> pathlib.Path:
    """The module that holds the mutant."""
    names = subprocess.run(
        ["git", "diff", "--name-only", "lowrank_helpers"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    [name] = names.stdout.split()
    return pathlib.Path(name)


def steps(module: pathlib.Path) -> list[list[str]]:
    """The tests of a module, from the nearest outwards: its own with its doctests, then those of its room."""
    room = module.parent.name
    own = f"tests/package/{room}/test_{module.stem}.py"
    return [*([[own, str(module)]] if (ROOT / own).exists() else []), [f"tests/package/{room}"]]


def test() -> int:
    """Run the tests of the changed module until one fails; 0 if none does."""
    for step in steps(changed()):
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", *step]
        if code := subprocess.run(command, cwd=ROOT, capture_output=True).returncode:
            return code
    return 0


def report() -> None:
    """Print the counts, and each survivor."""
    from cosmic_ray.work_db import WorkDB, use_db

    with use_db(SESSION, WorkDB.Mode.open) as database:
        done = list(database.completed_work_items)
        left = [(item, result) for item, result in done if not result.is_killed]
        print(f"{len(done)} of {database.num_work_items} mutants tried, {len(left)} survive")
        for item, result in sorted(left, key=lambda pair: str(pair[0].mutations[0])):
            mutation = item.mutations[0]
            lines = [x for x in (result.diff or "").splitlines() if x[:1] in "+-" and x[:3] not in ("+++", "---")]
            print(f"\n{mutation.module_path}:{mutation.start_pos[0]} {mutation.operator_name.partition('/')[2]}")
            print("\n".join(lines))


def main() -> int:
    """Do what the command says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", choices=["draw", "test", "report"])
    parser.add_argument("--count", type=int, default=300, help="how many places (300)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (0)")
    options = parser.parse_args()
    if options.command == "test":
        return test()
    if options.command == "draw":
        draw(options.count, options.seed)
    else:
        report()
    return 0


if __name__ == "__main__":
    sys.exit(main())
