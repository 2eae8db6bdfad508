"""Inception's features, those of FID and of KID in papers: an optional library and a download."""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from t2i_utils.data.captioned import to_bytes


class InceptionFeatures(nn.Module):
    """f(x) of FID: the 2,048 numbers of Inception's last pooling (Heusel et al. 2017).

    The network, its weights and its resizing are torch-fidelity's, which are those of the original.
    That library is not among the requirements, and its weights are a download (91 MB) unless they
    lie in `weights`. Raises ModuleNotFoundError that says how to get it.
    """

    name = "Inception, torch-fidelity's weights"

    def __init__(self, weights: str | Path | None = None):
        super().__init__()
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("Inception's features need torch-fidelity: pip install "
                                      f"torch-fidelity ({error})") from error
        path = None if weights is None else str(weights)
        self.network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], path)

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 2048"]:
        return self.network(to_bytes(images))[0]
