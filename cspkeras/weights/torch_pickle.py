"""Interpret the pickles of PyTorch's files without running anything that they name.

A pickle is a program: Python's own reader imports and calls whatever it asks for. Here each instruction that PyTorch
writes has a row that builds plain containers; of all the functions that a pickle may name, the few of `Interpreter`
that make tensors are known. Other packages' classes, such as the logs of a training, are inert stand-ins.
"""

import builtins
import pickletools
import sys
from collections.abc import Callable
from dataclasses import dataclass

LIMIT = 5_000_000  # instructions; a network's file has some thousands, and one byte may ask for a hundred of memory
LONGEST = 200  # characters of a name, parts of a key
MARK = object()


class Refused(ValueError):
    """What the file holds can't be read, or shall not be: one line without the file's name."""


@dataclass(frozen=True, eq=False)
class Inert:
    """What stands for a class or function that was not imported, or for the result of a call that was not made."""

    name: str


@dataclass(frozen=True, eq=False)
class Known:
    """A function or class that pickles may call: ours, not the one of that name."""

    call: Callable


def unpickle(file, known=None, persistent=None):
    """Interpret one pickle.

    Args:
        file: binary file with `read`, `readline` and `tell`, at the pickle's first byte; afterwards after its last.
        known: {"module.name": what it stands for}; a `Known` can be called.
        persistent: function of a persistent id, a tuple, to what it stands for.

    Returns:
        The pickle's value, of dicts, lists, sets, tuples, strings, bytes, numbers, None, `Inert`s and what the two
        arguments give.

    Raises:
        Refused: where it asks for a function of Python's own, or for what PyTorch doesn't write.
        Exception: of any kind, where it is damaged.
    """
    machine = _Machine(PLAIN | (known or {}), persistent)
    start = file.tell()
    for count, (opcode, argument, place) in enumerate(pickletools.genops(file)):
        if opcode.name == "STOP":
            (value,) = machine.stack
            return value
        if count == LIMIT:
            raise Refused(f"its pickle has more than {LIMIT:,} instructions")
        if opcode.name not in _ACTIONS:
            raise Refused(f"its pickle has the instruction {opcode.name}, which PyTorch doesn't write")
        _ACTIONS[opcode.name](machine, argument)
        if machine.copied > place - start:
            raise Refused("its pickle copies what it holds again and again")
    raise Refused("its pickle doesn't end")


class _Machine:
    """The stack and the memo of a pickle's program."""

    def __init__(self, known, persistent):
        self.known, self.persistent = known, persistent
        self.stack, self.memo = [], {}
        self.copied = 0  # elements and characters given to functions; in a pickle as PyTorch writes it, each once

    def pop(self, count=1):
        """Take the last `count` values from the stack, as a list."""
        if len(self.stack) < count or any(value is MARK for value in self.stack[-count:]):
            raise IndexError("the stack is empty")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def pop_to_mark(self):
        """Take the values after the last mark, and the mark."""
        values = []
        while (value := self.stack.pop()) is not MARK:
            values.append(value)
        return values[::-1]

    def find(self, module, name):
        """Push what stands for a global name."""
        if not all(isinstance(part, str) and len(part) <= LONGEST and part.isprintable() for part in (module, name)):
            raise Refused("its pickle asks for something without a name")
        full = f"{module}.{name}"
        if full not in self.known and _acts(module, name):
            raise Refused(f"its pickle asks for {full}, which no weights need; nothing was run")
        self.stack.append(self.known.get(full) or Inert(full))

    def call(self, function, arguments):
        """Push the result of a known function, or a stand-in for that of any other."""
        if isinstance(function, Known):
            self.copied += sum(len(value) for value in arguments if isinstance(value, (str, list, tuple)))
            self.stack.append(function.call(*arguments))
        elif not isinstance(function, Inert):
            raise Refused(f"its pickle calls a {type(function).__name__}")
        elif function.name in GETATTR and not isinstance(arguments[0], Inert):
            raise Refused(f"its pickle calls {function.name} of a {type(arguments[0]).__name__}; nothing was run")
        else:
            self.stack.append(Inert(function.name))

    def build(self, state):
        """Drop the attributes of a stand-in, and those of a dict, such as the modules' versions of a state dict."""
        (target,) = self.pop()
        if not isinstance(target, (Inert, dict)):
            raise Refused(f"its pickle sets attributes of a {type(target).__name__}")
        self.stack.append(target)

    def fill(self, kind, add, values):
        """Put values into the container on top of the stack; a stand-in drops them."""
        (target,) = self.pop()
        if isinstance(target, kind):
            add(target, values)
        elif not isinstance(target, Inert):
            raise Refused(f"its pickle fills a {type(target).__name__} as a {kind.__name__}")
        self.stack.append(target)


GETATTR = ("builtins.getattr", "__builtin__.getattr")  # mmengine's logs name methods of their classes so
PASSIVE = {  # modules of Python's own whose classes describe a training, as stand-ins
    *("_codecs", "argparse", "collections", "copyreg", "dataclasses", "datetime", "decimal", "enum", "fractions"),
    *("functools", "logging", "numbers", "operator", "pathlib", "random", "re", "string", "time", "typing", "uuid"),
}


def _acts(module, name):
    """Return whether a name is one of Python's own that could do something; as a stand-in it couldn't."""
    root = module.partition(".")[0]
    if root in ("builtins", "__builtin__"):  # Python 2's
        passive = isinstance(getattr(builtins, name, None), type) or name in ("getattr", "unicode", "long", "xrange")
        return not passive
    return root in ("commands", "popen2", "nt") or root in sys.stdlib_module_names - PASSIVE


def _key(value):
    """Check what a dict or a set shall hold: hashing tuples within tuples could overflow Python's own stack."""
    plain = (str, bytes, int, float, complex, type(None), Inert, Known)
    parts = value[: LONGEST + 1] if isinstance(value, tuple) else (value,)
    if len(parts) > LONGEST or not all(isinstance(part, plain) for part in parts):
        raise Refused(f"its pickle has a key of the type {type(value).__name__}")
    return value


def _dict(items=()):
    return {_key(key): value for key, value in items}


def _set(items=()):
    return set(map(_key, items))


def _bytes(text, encoding):
    if not (isinstance(text, str) and encoding == "latin1"):
        raise Refused("its pickle encodes other than bytes")
    return text.encode("latin1")


PLAIN = {  # how a pickle of protocol 2 makes containers that have no instruction
    "__builtin__.set": Known(_set),
    "_codecs.encode": Known(_bytes),
    "builtins.set": Known(_set),
    "collections.OrderedDict": Known(_dict),
}


def _pairs(values):
    return _dict(zip(values[::2], values[1::2], strict=True))


def _set_items(target, values):
    target.update(_pairs(values))


def _add(target, values):
    target.update(_set(values))


def _new(make):
    return lambda machine, _: machine.stack.append(make())


def _tuple(count):
    return lambda machine, _: machine.stack.append(tuple(machine.pop(count)))


def _from_mark(make):
    return lambda machine, _: machine.stack.append(make(machine.pop_to_mark()))


def _last(method, count):
    """Call a method of the machine with the last values of the stack."""
    return lambda machine, _: method(machine, *machine.pop(count))


def _put(machine, index):
    machine.memo[index] = machine.stack[-1]


def _persistent(machine, _):
    if machine.persistent is None:
        raise Refused("its pickle has a storage where none is expected")
    machine.stack.append(machine.persistent(*machine.pop()[0]))


def _nothing(machine, _):
    pass


_PUSHED = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
)
_ACTIONS = {
    **dict.fromkeys(_PUSHED, lambda machine, argument: machine.stack.append(argument)),
    **dict.fromkeys(("PROTO", "FRAME"), _nothing),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, index: machine.stack.append(machine.memo[index])),
    "MEMOIZE": lambda machine, _: _put(machine, len(machine.memo)),
    "NONE": _new(lambda: None),
    "NEWTRUE": _new(lambda: True),
    "NEWFALSE": _new(lambda: False),
    "EMPTY_TUPLE": _new(tuple),
    "EMPTY_LIST": _new(list),
    "EMPTY_DICT": _new(dict),
    "EMPTY_SET": _new(set),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "MARK": _new(lambda: MARK),
    "TUPLE": _from_mark(tuple),
    "LIST": _from_mark(list),
    "DICT": _from_mark(_pairs),
    "FROZENSET": _from_mark(lambda values: frozenset(_set(values))),
    "APPEND": lambda machine, _: machine.fill(list, list.extend, machine.pop()),
    "APPENDS": lambda machine, _: machine.fill(list, list.extend, machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.fill(dict, _set_items, machine.pop(2)),
    "SETITEMS": lambda machine, _: machine.fill(dict, _set_items, machine.pop_to_mark()),
    "ADDITEMS": lambda machine, _: machine.fill(set, _add, machine.pop_to_mark()),
    "GLOBAL": lambda machine, names: machine.find(*names.split(" ", 1)),
    "STACK_GLOBAL": _last(_Machine.find, 2),
    "REDUCE": _last(_Machine.call, 2),
    "NEWOBJ": _last(_Machine.call, 2),
    "NEWOBJ_EX": _last(lambda machine, kind, arguments, _: machine.call(kind, arguments), 3),
    "BUILD": _last(_Machine.build, 1),
    "BINPERSID": _persistent,
}
