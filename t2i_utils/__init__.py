"""Helpers for the notebooks on text-to-image GANs: what a lesson needs but does not teach.

The rooms are imported one by one (`from t2i_utils.data.blooms import load_blooms`), so that
importing the package itself costs nothing.
"""

__version__ = "0.1.0"
