"""Turn TensorFlow's graph optimizer off: for a few steps it takes longer than it saves.

For child processes alone: in a long one the memory that it saves counts for more.
"""

import tensorflow as tf

tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
