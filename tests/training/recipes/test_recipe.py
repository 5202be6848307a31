"""Recipes: what comes with the package, and what is refused."""

import pytest

from cspkeras.training import Recipe, load_recipe
from cspkeras.training.recipes.recipe import changed, recipe_names, settings

RECIPES = {  # what makes each what it is
    "coco": dict(optimizer="sgd", schedule="step", milestones=(0.8, 0.9), loss={"box": "mse"}),
    "coco_optimal": dict(optimizer="sgd", momentum=0.949, ema=0.9998),
    "finetune": dict(epochs=40, batch_size=8, learning_rate=2e-3, augment={"mosaic": 0.3}),
    "imagenet_base": dict(epochs=80, batch_size=128, schedule="poly", power=4.0, learning_rate=0.1),
    "imagenet_gamma": dict(epochs=120, loss={"label_smoothing": 0.1}, model={}),
    "imagenet_omega": dict(epochs=120, loss={"label_smoothing": 0.1}, model={"activation": "mish"}),
    "rtmdet": dict(schedule="flat_cosine", final_rate=0.05, weight_decay=0.05, switch=280, last_epochs=20),
    "quantization": dict(epochs=10, learning_rate=5e-4, augment={"mosaic": 0.3}),
}


def test_all_recipes_are_known():
    assert recipe_names() == sorted(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipes_of_the_package(name):
    recipe = load_recipe(name)
    assert {key: getattr(recipe, key) for key in RECIPES[name]} == RECIPES[name]


def test_omega_is_gamma_with_mish():
    omega = changed(load_recipe("imagenet_gamma"), {"model": {"activation": "mish"}})
    assert load_recipe("imagenet_omega") == omega


def test_values_are_read_as_toml_writes_them():
    pairs = ["epochs=3", "augment.mosaic=0.3", "augment.flip = 0", "optimizer=sgd", "milestones=[0.5, 1]"]
    pairs += ["batch_size=auto", "tensorboard=true", 'loss.box="giou"', "learning_rate=1", "data_workers=4"]
    recipe = changed(Recipe(augment={"crop": 1.0}), settings(pairs))
    assert recipe == Recipe(
        epochs=3,
        augment={"crop": 1.0, "mosaic": 0.3, "flip": 0},
        optimizer="sgd",
        milestones=(0.5, 1.0),
        batch_size="auto",
        tensorboard=True,
        data_workers=4,
        loss={"box": "giou"},
        learning_rate=1.0,
    )


def test_the_last_epochs_are_augmented_in_their_own_way():
    recipe = load_recipe("rtmdet")
    assert recipe.augment_of(279) == recipe.augment
    assert recipe.augment_of(280) == {**recipe.augment, "mosaic": 0.0, "mixup": 0.0}
    assert [changed(recipe, {"epochs": n}).switch for n in (30, 10, 4)] == [24, 8, 4]  # a fifth at most
    assert Recipe().switch == Recipe().epochs


WRONG = {
    "epoch=3": "unknown key epoch, did you mean epochs?",
    "qqq=3": "unknown key qqq; known are epochs, batch_size, ",
    "augmentation.mosaic=1": "unknown key augmentation, did you mean augment?",
    "epochs=many": "epochs must be a whole number. Received: epochs='many'",
    "epochs=1.5": "epochs must be a whole number. Received: epochs=1.5",
    "epochs=true": "epochs must be a whole number. Received: epochs=True",
    "epochs=0": "epochs must be at least 1. Received: epochs=0",
    "batch_size=big": "batch_size must be a whole number or \"auto\". Received: batch_size='big'",
    "learning_rate=nan": "learning_rate must be a number. Received: learning_rate=nan",
    "learning_rate=-1": "learning_rate must be at least 0. Received: learning_rate=-1.0",
    "momentum=1": "momentum must be at least 0 and below 1. Received: momentum=1.0",
    "data_workers=-1": "data_workers must be at least 0 and below 257. Received: data_workers=-1",
    "data_workers=10000": "data_workers must be at least 0 and below 257. Received: data_workers=10000",
    "data_workers=x": "data_workers must be a whole number. Received: data_workers='x'",
    "tensorboard=1": "tensorboard must be true or false. Received: tensorboard=1",
    "milestones=0.5": "milestones must be a list of numbers. Received: milestones=0.5",
    "augment=0.5": "augment must be a table. Received: augment=0.5",
    "optimizer=adam": "optimizer must be one of adamw, sgd. Received: optimizer='adam'",
    "schedule=steps": "schedule must be one of cosine, flat_cosine, poly, step, constant. Received: schedule='steps'",
    "precision=float16": "precision must be one of float32, mixed_float16, mixed_bfloat16. Received: ",
}


@pytest.mark.parametrize("pair", WRONG)
def test_wrong_settings(pair):
    with pytest.raises(ValueError) as e:
        changed(Recipe(), settings([pair]), "--set: ")
    assert str(e.value).startswith(f"--set: {WRONG[pair]}")


@pytest.mark.parametrize("pair", ("epochs", "=3", "augment.=3"))
def test_what_is_no_setting(pair):
    with pytest.raises(ValueError, match=f"^--set {pair}: expected key=value$"):
        settings([pair])


def test_files(tmp_path):
    path = tmp_path / "mine.toml"
    with pytest.raises(FileNotFoundError, match=f"^{path}: missing; expected a recipe$"):
        load_recipe(path)
    path.write_text("epochs = 3\nepochs = 4\n")
    with pytest.raises(ValueError, match=f"^{path}: not TOML "):
        load_recipe(path)
    path.write_text("epoch = 3\n")
    with pytest.raises(ValueError, match=f"^{path}: unknown key epoch, did you mean epochs\\?$"):
        load_recipe(path)
    path.write_text("epochs = 3\n[augment]\nflip = 0.0\n")
    assert load_recipe(path) == Recipe(epochs=3, augment={"flip": 0.0})
    with pytest.raises(ValueError, match="^recipe must be .*such as imagenet_base.* Received: imagenet_bas$"):
        load_recipe("imagenet_bas")


def write_recipes(folder, **texts):
    for name, text in texts.items():
        path = folder / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def test_a_base(tmp_path):
    write_recipes(
        tmp_path,
        a='base = "finetune"\nepochs = 3\n[augment]\nflip = 0.0\n',
        b='base = "a.toml"\nseed = 4\n[augment]\nflip = 1.0\n',
        **{"inner/c": 'base = "../b.toml"\n[loss]\nbox = "giou"\n'},
        d=f'base = "{tmp_path}/a.toml"\n',
    )
    finetune = load_recipe("finetune")
    a = changed(finetune, {"epochs": 3, "augment": {"flip": 0.0}})
    assert load_recipe(tmp_path / "a.toml") == load_recipe(str(tmp_path / "d.toml")) == a
    assert a.augment == {"mosaic": 0.3, "flip": 0.0}
    c = changed(a, {"seed": 4, "augment": {"flip": 1.0}, "loss": {"box": "giou"}})
    assert load_recipe(tmp_path / "inner/c.toml") == c


WRONG_BASES = {  # files, and what is said of a.toml
    "unknown": (
        {"a": 'base = "finetuned"'},
        "{a}: base must be a .toml file or one of the package's, such as finetune, ",
    ),
    "missing": ({"a": 'base = "b.toml"'}, "{a}: base: {b}: missing; expected a recipe"),
    "not a text": ({"a": "base = 3"}, "{a}: base must be a text. Received: base=3"),
    "itself": ({"a": 'base = "a.toml"'}, "{a}: base must not lead back to a file before it. Received: {a} -> {a}"),
    "a circle": (
        {"a": 'base = "b.toml"', "b": 'base = "inner/../a.toml"', "inner/c": ""},
        "{b}: base must not lead back to a file before it. Received: {a} -> {b} -> {folder}/inner/../a.toml",
    ),
    "not TOML": ({"a": 'base = "b.toml"', "b": "epochs"}, "{b}: not TOML ("),
    "a wrong value": (
        {"a": 'base = "b.toml"', "b": "epochs = 0"},
        "{b}: epochs must be at least 1. Received: epochs=0",
    ),
    "in a table": ({"a": '[augment]\nbase = "finetune"\n[base]\n'}, "{a}: base must be a text. Received: base={{}}"),
}


@pytest.mark.parametrize("case", WRONG_BASES)
def test_wrong_bases(case, tmp_path):
    files, message = WRONG_BASES[case]
    write_recipes(tmp_path, **files)
    with pytest.raises((ValueError, OSError)) as e:
        load_recipe(tmp_path / "a.toml")
    expected = message.format(a=tmp_path / "a.toml", b=tmp_path / "b.toml", folder=tmp_path)
    assert str(e.value).startswith(expected) and "\n" not in str(e.value)
