"""Features of images: what distances between sets of images are measured in."""

from hcm_tf.errors import UserError
from hcm_tf.features.extractor import Extractor

NAMES = ("random", "parts", "labels", "inception")

__all__ = ["NAMES", "Extractor", "load", "parts"]


def load(name: str, *, channels: int = 3, path: str = "") -> Extractor:
    """The extractor of a name.

    Args:
        name: one of `NAMES`.
        channels: of the images: 1 for grey, 3 for colour.
        path: the file that `labels` and `inception` need; the others take none.

    Raises:
        UserError: the name is unknown, the file is missing or another's, or the
            extractor cannot see images of so many channels.
    """
    # Imported where needed: TensorFlow takes seconds to load.
    if name not in NAMES:
        raise UserError(f"There are no features {name!r}: choose {', '.join(NAMES)}.")
    if path and name not in ("labels", "inception"):
        raise UserError(f"The features {name!r} take no file, and {path} was named.")
    if name == "random":
        from hcm_tf.features.random_convolutions import RandomConvolutions

        return RandomConvolutions(channels)
    if name == "inception":
        from hcm_tf.features.inception import Inception

        if not path:
            raise UserError(
                "The features 'inception' need the graph of 2015, which is not part of "
                "hcm_tf: name its file, classify_image_graph_def.pb of "
                "inception-2015-12-05.tgz."
            )
        return Inception(path)
    if name == "parts":
        made = parts()
    else:
        from hcm_tf.features import classifier

        if not path:
            raise UserError(
                "The features 'labels' need a classifier of the data set's labels: "
                "make one with python -m hcm_tf.features.train --dataset=NAME "
                "--out=labels.npz, and name its file."
            )
        made = classifier.load(path)
    if channels != made.about["channels"]:
        raise UserError(
            f"The features {name!r} are of images of {made.about['channels']} "
            f"channel(s), and these have {channels}: choose 'random', or make a "
            "classifier with --channels."
        )
    return made


def parts() -> "classifier.Classifier":  # noqa: F821
    """The classifier of the avatars' labels that comes with hcm_tf."""
    import importlib.resources

    from hcm_tf.data import faces
    from hcm_tf.features import classifier

    file = importlib.resources.files("hcm_tf.features") / "parts.npz"
    with importlib.resources.as_file(file) as path:
        return classifier.load(path, faces.SLOTS)
