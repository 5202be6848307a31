"""Training pipelines: from a data set to augmented batches."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else its import asks the network for news
