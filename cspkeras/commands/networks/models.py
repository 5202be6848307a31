"""The sub-command `models`: a table of the networks."""

from ..arguments import add_command


def add(commands):
    """Add `models` to the sub-commands."""
    about = "List the networks: what is counted here beside what was published."
    parser = add_command(commands, "models", run, about, "'CSP*'")
    of_weights = "list the published weights instead: accuracy, cost, size, licence, and what a copy is checked by"
    parser.add_argument("--weights", action="store_true", help=of_weights)
    parser.add_argument("pattern", nargs="?", default="*", help="pattern of the names, such as 'CSP*' [all]")


def run(options):
    """Print the table, each line as soon as its network is counted."""
    from ...analysis.table import table, weights_table

    for line in (weights_table if options.weights else table)(options.pattern):
        print(line, flush=True)
