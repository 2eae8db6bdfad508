"""The data sets of the series: Blooms, drawn by the package itself, and real photographs."""

DATA_SETS = ("blooms", "flowers", "birds")


def load(name: str, **options):
    """The data set of that name as `CaptionedImages`: "blooms", "flowers" or "birds".

    The options are those of `load_blooms` (n, size, seed), `load_flowers` (data_dir, size, split,
    download) and `load_birds` (data_dir, size, split). Raises ValueError for any other name.
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
    raise ValueError(f"unknown data set: found {name!r}, expected one of {', '.join(DATA_SETS)}")
