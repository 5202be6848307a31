"""The sub-command `completion`: a script with which bash or zsh completes the words of a command."""

from pathlib import Path

from .arguments import add_command


def add(commands):
    """Add `completion` to the sub-commands."""
    about = 'Print what lets a shell complete commands and options: eval "$(cspkeras completion bash)" in ~/.bashrc.'
    parser = add_command(commands, "completion", run, about, "bash")
    parser.add_argument("shell", choices=("bash", "zsh"))
    parser.set_defaults(keras=False)


def run(options):
    """Print the script, which knows all commands, their options, and where a file belongs."""
    import shtab

    for action in _actions(options.parser):
        if action.type is Path:
            action.complete = shtab.FILE
    print(shtab.complete(options.parser, options.shell))


def _actions(parser):
    for action in parser._actions:
        yield action
        for inner in action.choices.values() if isinstance(action.choices, dict) else ():
            yield from _actions(inner)
