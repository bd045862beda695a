"""The six losses of the paper (2.3) and their weighted sum. Pure functions of tensors; networks are loaded apart.

A loss of pictures returns one value a picture, each a mean over its own pixels, texels or patches, so that neither the
size of the picture nor of the face changes its scale. Where the mask is empty the value is 0, without a gradient.
"""

from ftim.losses.id_mrf import id_mrf_loss
from ftim.losses.identity import identity_loss
from ftim.losses.photometric import photometric_loss
from ftim.losses.regularisation import regularisation_loss
from ftim.losses.symmetry import one_sided, symmetry_loss
from ftim.losses.total import LossNetworks, LossTerms, load_loss_networks, total_loss
from ftim.losses.uv_albedo import uv_albedo_loss
from ftim.losses.vgg19 import Vgg19, load_vgg19
from ftim.losses.weights import LossWeights

__all__ = [
    "LossNetworks",
    "LossTerms",
    "LossWeights",
    "Vgg19",
    "id_mrf_loss",
    "identity_loss",
    "load_loss_networks",
    "load_vgg19",
    "one_sided",
    "photometric_loss",
    "regularisation_loss",
    "symmetry_loss",
    "total_loss",
    "uv_albedo_loss",
]
