"""What the losses share: a compiled detector's file holds their options."""

import inspect

import numpy as np

from ..anchors import Anchors


class DetectionLoss:
    """A loss whose attributes are its constructor's arguments: anchors, classes and options."""

    def get_config(self):
        """Return the constructor's arguments, for `from_config`."""
        config = {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}
        config = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in config.items()}
        return {**config, "anchors": self.anchors.get_config()}

    @classmethod
    def from_config(cls, config):
        """Rebuild a loss from `get_config`'s dict."""
        return cls(**{**config, "anchors": Anchors.from_config(config["anchors"])})
