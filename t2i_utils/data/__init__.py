"""The data sets of the series: Blooms, drawn by the package itself, and real photographs."""

from importlib import import_module

DATA_SETS = ("blooms", "flowers", "birds", "folder")


def load(name: str, **options):
    """The data set of that name as `CaptionedImages`: "blooms", "flowers", "birds" or "folder".

    The options are those of `load_blooms` (n, size, seed), `load_flowers` (data_dir, size, split,
    download), `load_birds` (data_dir, size, split) and `load_folder` (data_dir, size, test_share).
    Raises ValueError for any other name.
    """
    if name not in DATA_SETS:
        known = ", ".join(DATA_SETS)
        raise ValueError(f"unknown data set: found {name!r}, expected one of {known}")
    room = import_module(f"{__name__}.{name}")  # of one set only: some are slow to import
    return getattr(room, f"load_{name}")(**options)
