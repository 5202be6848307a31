"""YAML as people write it for data sets: every value a text, as it stands."""

from ....limits import YAML
from .text import check_file, read_text

KINDS = "map", "null", "seq", "str"  # of values; a tag that names another is an error


def read_yaml(path):
    """Return what a YAML file holds: mappings, lists, None and texts; "no" and "on" are texts too.

    Raises:
        OSError: where it can't be read.
        ValueError: where it is not valid YAML, or repeats whole lists by aliases, which may grow without end.
        ImportError: where PyYAML is missing.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {
            first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith(":null")]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

        yaml_constructors = {
            tag: construct
            for tag, construct in yaml.SafeLoader.yaml_constructors.items()
            if tag is None or tag.rpartition(":")[2] in KINDS
        }

        def compose_node(self, parent, index):
            if self.check_event(yaml.AliasEvent):
                event = self.peek_event()
                if not isinstance(self.anchors.get(event.anchor), (yaml.ScalarNode, type(None))):
                    raise yaml.composer.ComposerError(
                        None, None, "an alias of a list or mapping, which is not read", event.start_mark
                    )
            return super().compose_node(parent, index)

    check_file(path, YAML)
    try:
        return yaml.load(read_text(path), Loader)
    except (RecursionError, ValueError, yaml.YAMLError) as e:
        mark = getattr(e, "problem_mark", None)
        where, what = f":{mark.line + 1}" if mark else "", getattr(e, "problem", None) or " ".join(str(e).split())
        raise ValueError(f"{path}{where}: not valid YAML ({what})") from e
