"""The sub-command `demo`: everything once, end to end."""

from .arguments import add_command, add_run_folder


def add(commands):
    """Add `demo` to the sub-commands."""
    about = "End-to-end demo: train, quantize, convert, check and detect, in about ten minutes."
    parser = add_command(commands, "demo", run, about, "")
    add_run_folder(parser, "runs/demo")
    parser.add_argument("--overwrite", action="store_true", help="run a finished demo again")
    parser.set_defaults(resume_hint=_resume_hint)


def run(options):
    """Run the demo, or say where a finished one is."""
    from ..demo.run import demo

    demo(options.folder, overwrite=options.overwrite)


def _resume_hint(options):
    return f"; the same command{' without --overwrite' * options.overwrite} resumes it"
