"""The graph optimizer off, for child processes of a few steps: it takes longer than it saves, but saves memory too."""

import tensorflow as tf

tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
