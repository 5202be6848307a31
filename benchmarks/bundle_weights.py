"""Write a trained detector's weights as the package bundles them: a .npz file of half-precision arrays.

python benchmarks/bundle_weights.py runs/bccd/best.keras cspkeras/weights/bccd.npz
"""

import argparse
from pathlib import Path

import numpy as np


def bundle(source, path):
    """Write the weights of a .keras file in half precision, one array per variable, by the variables' paths."""
    from cspkeras.files import replacing
    from cspkeras.saving import load_detector

    arrays = {variable.path: np.asarray(variable).astype("float16") for variable in load_detector(source).variables}
    with replacing(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, **arrays)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the detector's .keras file")
    parser.add_argument("path", type=Path, help="the .npz file to write")
    args = parser.parse_args()
    bundle(args.source, args.path)


if __name__ == "__main__":
    main()
