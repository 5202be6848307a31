"""The optimizer of a recipe."""

from keras import optimizers


def make_optimizer(model, recipe):
    """Return the recipe's optimizer; its learning rate is a variable that a callback sets, see `schedules`."""
    options = {}
    if recipe.accumulate > 1:
        options["gradient_accumulation_steps"] = recipe.accumulate
    if recipe.clip_norm:
        # Each of TensorFlow's replicas clips its own gradients, before they are added up.
        strategy = getattr(model, "distribute_strategy", None)
        options["global_clipnorm"] = recipe.clip_norm / (strategy.num_replicas_in_sync if strategy else 1)
    if recipe.optimizer == "sgd":
        options["momentum"] = recipe.momentum
    kind = {"adamw": optimizers.AdamW, "sgd": optimizers.SGD}[recipe.optimizer]
    optimizer = kind(recipe.learning_rate, weight_decay=recipe.weight_decay, **options)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
