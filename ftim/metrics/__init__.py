"""How alike two images of a face are. Pure functions of (B, 3, H, W) pairs; networks are loaded apart and passed in."""

from ftim.metrics.facenet import face_embedding, facenet_cosine, load_facenet
from ftim.metrics.image import l1, on_grey, psnr, ssim, ssim_map
from ftim.metrics.lpips import load_lpips, lpips_distance

__all__ = [
    "face_embedding",
    "facenet_cosine",
    "l1",
    "load_facenet",
    "load_lpips",
    "lpips_distance",
    "on_grey",
    "psnr",
    "ssim",
    "ssim_map",
]
