"""The data sets of the series: Blooms, drawn by the package itself, and real photographs."""

DATA_SETS = ("blooms", "flowers", "birds", "folder")


def load(name: str, **options):
    """The data set of that name as `CaptionedImages`: "blooms", "flowers", "birds" or "folder".

    The options are those of `load_blooms` (n, size, seed), `load_flowers` (data_dir, size, split,
    download), `load_birds` (data_dir, size, split) and `load_folder` (data_dir, size, test_share).
    Raises ValueError for any other name.
    """
    if name == "blooms":
        from .blooms import load_blooms

        return load_blooms(**options)
    if name == "flowers":
        from .flowers import load_flowers

        return load_flowers(**options)
    if name == "birds":
        from .birds import load_birds

        return load_birds(**options)
    if name == "folder":
        from .folder import load_folder

        return load_folder(**options)
    raise ValueError(f"unknown data set: found {name!r}, expected one of {', '.join(DATA_SETS)}")
