"""What the networks of learning.py learn in many epochs: all images and all steps of an epoch on one accelerator.

    pip install -e '.[all]' 'jax[cuda13]'
    KERAS_BACKEND=jax python benchmarks/learning_jax.py --epochs 20 --output docs/measured/learning_long.json

Data as learning.py takes it. The recipe is learning.py's with larger batches; the images are enlarged, moved and
mirrored on the accelerator, and each step is one call of Keras' stateless functions. Killed, the same command resumes
with the next run.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock

from learning import CLASSES, SIZE, chosen_networks, read_data, recipe_of, rescale

EVALUATED = 500  # images at once
COMPILED = 8  # networks at once
BUILDING = Lock()  # Keras' seed is the whole program's


def pixels(data):
    """Return the images as uint8 (N, 32, 32, 3), the classes as int32 (N,)."""
    import numpy as np

    from cspkeras.tflite.device.frames import load_image

    def decoded(image):
        return image if isinstance(image, np.ndarray) else np.asarray(load_image(image))

    with ThreadPoolExecutor() as pool:
        images = list(pool.map(decoded, (example.image for example in data.examples)))
    return np.stack(images), np.array([example.label for example in data.examples], "int32")


def augment(key, images):
    """Rescale each image to 64 to 80 pixels, take a random window of 64, mirror half of them; in 0..1."""
    import jax
    import jax.numpy as jnp

    least, most = rescale(SIZE)

    def one(key, image):
        keys = jax.random.split(key, 3)
        side = jax.random.uniform(keys[0], (), minval=least, maxval=most)
        start = jax.random.uniform(keys[1], (2,)) * (SIZE - side)
        scale = jnp.broadcast_to(side / image.shape[0], (2,))
        image = jax.image.scale_and_translate(image, (SIZE, SIZE, 3), (0, 1), scale, start, "linear")
        return jnp.where(jax.random.bernoulli(keys[2]), image[:, ::-1], image)

    return jax.vmap(one)(jax.random.split(key, len(images)), images.astype("float32") / 255)


def compiled(build, recipe, train, test):
    """Compile the network's epoch and its evaluation; return both and a function of a seed to its first state."""
    import jax
    import jax.numpy as jnp
    import keras

    from cspkeras.training.recipes.optimizers import make_optimizer

    with BUILDING:
        model = build()
        rule = make_optimizer(model, recipe)
        rule.build(model.trainable_variables)
    rate_at = next(i for i, v in enumerate(rule.variables) if v is rule._learning_rate)
    crossentropy = keras.losses.CategoricalCrossentropy()

    def first(seed):
        """Return Keras' initial weights of a seed, with a fresh optimizer."""
        with BUILDING:
            keras.utils.set_random_seed(seed)
            fresh = build()
        parts = fresh.trainable_variables, fresh.non_trainable_variables, rule.variables
        return tuple([jnp.array(v.value) for v in part] for part in parts)

    def epoch(state, key, rates, images, labels):
        def step(carry, inputs):
            weights, others, rule_state = carry
            key, rate, chosen = inputs
            x, y = augment(key, images[chosen]), jax.nn.one_hot(labels[chosen], CLASSES)

            def loss(weights):
                predicted, changed = model.stateless_call(weights, others, x, training=True)
                return crossentropy(y, predicted), changed

            (value, others), gradients = jax.value_and_grad(loss, has_aux=True)(weights)
            rule_state = [rate if i == rate_at else v for i, v in enumerate(rule_state)]
            weights, rule_state = rule.stateless_apply(rule_state, gradients, weights)
            return (list(weights), list(others), list(rule_state)), value

        order, keys = jax.random.split(key)
        order = jax.random.permutation(order, len(images))[: len(rates) * recipe.batch_size]
        batches = order.reshape(len(rates), recipe.batch_size)
        state, losses = jax.lax.scan(step, state, (jax.random.split(keys, len(rates)), rates, batches))
        return state, losses.mean()

    def evaluate(state, images, labels):
        def some(inputs):
            x, y = inputs
            x = jax.image.resize(x.astype("float32") / 255, (len(x), SIZE, SIZE, 3), "linear")
            predicted, _ = model.stateless_call(*state[:2], x, training=False)
            _, top5 = jax.lax.top_k(predicted, 5)
            loss = -jnp.log(jnp.clip(jnp.take_along_axis(predicted, y[:, None], 1), 1e-7))
            return (top5[:, 0] == y).mean(), (top5 == y[:, None]).any(1).mean(), loss.mean()

        parts = images.reshape(-1, EVALUATED, *images.shape[1:]), labels.reshape(-1, EVALUATED)
        return [x.mean() for x in jax.lax.map(some, parts)]

    state, key = first(0), jax.random.key(0)
    rates = jnp.zeros(len(train[0]) // recipe.batch_size)
    return (
        jax.jit(epoch, donate_argnums=0).lower(state, key, rates, *train).compile(),
        jax.jit(evaluate).lower(state, *test).compile(),
        first,
    )


def run(functions, recipe, seed, train, test):
    """Train from a seed's first weights; return learning.py's figures of the test images after the last epoch."""
    import jax
    import numpy as np

    from cspkeras.training.recipes.schedules import learning_rate

    epoch, evaluate, first = functions
    steps = len(train[0]) // recipe.batch_size
    rates = np.array([learning_rate(recipe, i, steps) for i in range(recipe.epochs * steps)], "float32").reshape(
        -1, steps
    )
    state = first(seed)
    for key, part in zip(jax.random.split(jax.random.key(seed), recipe.epochs), rates, strict=True):
        state, loss = epoch(state, key, part, *train)
    figures = dict(zip(("top1", "top5", "loss"), map(float, evaluate(state, *test)), strict=True))
    return {**figures, "train_loss": float(loss)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of images [keras.datasets.cifar10]")
    parser.add_argument("--output", type=Path, required=True, help="JSON file of the results")
    parser.add_argument("--networks", nargs="+", metavar="NAME", help="[all]")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=256)
    args = parser.parse_args()

    import keras

    if keras.config.backend() != "jax":
        parser.error("this script needs the JAX backend: set KERAS_BACKEND=jax")
    import jax

    from cspkeras.files import write_json

    chosen = chosen_networks(parser, args.networks)
    recipe = replace(recipe_of(args.epochs, 0), batch_size=args.batch_size)
    *data, source = read_data(args.data)
    train, test = ([jax.device_put(x) for x in pixels(part)] for part in data)
    setting = {"data": source, "epochs": args.epochs, "size": SIZE, "batch_size": args.batch_size}
    setting["machine"] = f"{jax.devices()[0].device_kind}; keras {keras.__version__}, jax {jax.__version__}"
    known = json.loads(args.output.read_text()) if args.output.exists() else {"setting": setting, "runs": {}}
    if known["setting"] != setting:
        parser.error(f"{args.output}: measured with other settings, {known['setting']}. Received: {setting}")

    def missing(name):
        return [seed for seed in args.seeds if f"{name}, seed {seed}" not in known["runs"]]

    wanted = [name for name in chosen if missing(name)]
    with ThreadPoolExecutor(COMPILED) as pool:
        ready = {name: pool.submit(compiled, chosen[name], recipe, train, test) for name in wanted}
        for name in wanted:
            functions = ready.pop(name).result()
            for seed in missing(name):
                start = time.perf_counter()
                figures = run(functions, recipe, seed, train, test)
                known["runs"][f"{name}, seed {seed}"] = {"network": name, "seed": seed, **figures}
                write_json(args.output, known)
                seconds = time.perf_counter() - start
                print(f"{name}, seed {seed}: top-1 {figures['top1']:.4f} in {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
