"""Who imports whom in the three packages, read from the sources, and the picture of their floors."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = {"cspkeras": "cspkeras", "cspkeras.training": "training", "cspkeras.tflite": "tflite"}


def modules(root=ROOT):
    """{module's name: its file} of the three packages."""
    found = {}
    for package, folder in PACKAGES.items():
        for file in sorted((root / folder).rglob("*.py")):
            parts = [package, *file.relative_to(root / folder).with_suffix("").parts]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(root=ROOT):
    """{module: the modules that it imports}, anywhere in its file.

    A package's `__init__` hands on names: who imports a name from it imports the module that the name stands in.
    """
    known = modules(root)
    handed, stars = {}, {}
    for package, file in known.items():
        if file.name == "__init__.py":
            names = file.with_suffix(".pyi")
            for module, name in _imported(package, names if names.exists() else file, is_package=True):
                if name == "*":
                    stars.setdefault(package, []).append(module)
                elif name:
                    handed[package, name] = module

    def standing_in(module, name):
        if f"{module}.{name}" in known:
            return f"{module}.{name}"
        if (module, name) in handed:
            return standing_in(handed[module, name], name)
        for one in stars.get(module, ()):
            if name in _defined(known[one]) or (one, name) in handed or one in stars:
                return standing_in(one, name)
        return module

    return {
        module: {
            standing_in(source, name)
            for source, name in _imported(module, file, is_package=False)
            if source in known or f"{source}.{name}" in known
        }
        - {module}
        for module, file in known.items()
        if file.name != "__init__.py"
    }


def _imported(module, file, is_package):
    """(module, name or None) of each import in a file, the modules' names absolute."""
    package = module if is_package else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            source = ".".join(filter(None, [above, node.module])) if node.level else node.module
            yield from ((source, alias.name) for alias in node.names)


def _defined(file):
    """The names that a file defines at its top."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def grouped(arrows, group):
    """The arrows between groups of modules, `group` a function of a module's name."""
    found = {}
    for module, targets in arrows.items():
        own = found.setdefault(group(module), set())
        own |= {group(target) for target in targets} - {group(module)}
    return found


def in_order(arrows):
    """What imports and is imported, each after all that it imports.

    Raises:
        graphlib.CycleError: where imports go in a circle.
    """
    return list(TopologicalSorter(arrows).static_order())


def _box(module):
    """The box of the picture that a module is in: a folder, or a file beside the folders."""
    parts = module.split(".")[1:]
    if parts and parts[0] in ("training", "tflite"):
        return ".".join(parts[:2])
    return parts[0] if parts else "cspkeras"


def floors():
    """[{box: the boxes it stands on}], from the ground up: each box one floor above the highest that it imports."""
    arrows = grouped(imports(), _box)
    level = {}
    for box in in_order(arrows):
        level[box] = 1 + max((level[below] for below in arrows.get(box, ())), default=-1)
    found = [{} for _ in range(max(level.values()) + 1)]
    for box in sorted(level):
        found[level[box]][box] = _nearest(box, arrows)
    return found


def _nearest(box, arrows):
    """The boxes that a box imports, without those that these import anyway."""

    def below(one):
        return arrows.get(one, set()).union(*(below(other) for other in arrows.get(one, ())))

    return {one for one in arrows.get(box, ()) if not any(one in below(other) for other in arrows[box] - {one})}


def architecture(path):
    """The floors of the three packages."""
    from drawing import BLUE, GREEN, GREY, ORANGE, arrow, blank, box, figure

    # The columns of the packages: where each begins, its width, its colour.
    columns = {"cspkeras": (0, 18, BLUE), "training": (18, 10.5, ORANGE), "tflite": (28.5, 7.5, GREEN)}
    columns |= {"commands": (0, 36, GREY), "demo": (0, 36, GREY)}
    rows, place, height = floors(), {}, 2.2
    width, top = 36, height * len(rows)
    for number, row in enumerate(rows):
        for package, (left, wide, colour) in columns.items():
            names = [name for name in row if _column(name, columns) == package]
            names.sort(key=lambda name: sum(place[one][0] for one in row[name]) / max(len(row[name]), 1))
            for k, name in enumerate(names):
                # One alone stands aside, now left, now right, so that arrows pass by.
                part = (k + 0.5) / len(names) if len(names) > 1 or colour == GREY else (0.35, 0.65)[number % 2]
                place[name] = left + wide * part, height * (number + 0.5), colour
    with figure(path, 12, 12 * top / width) as ax:
        blank(ax, width, top)
        for row in rows:
            for name, under in row.items():
                x, y, colour = place[name]
                box(ax, x, y, name.replace(".", "/\n"), colour, 3.3, 1, size=8)
                for one in sorted(under):
                    arrow(ax, (x, y - 0.5), (place[one][0], place[one][1] + 0.5), colour=GREY)


def _column(box, columns):
    first = box.split(".")[0]
    return first if first in columns else "cspkeras"
