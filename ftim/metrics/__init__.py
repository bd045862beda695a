"""How alike two images of a face are. Pure functions of (B, 3, H, W) pairs; networks are loaded apart and passed in."""

from ftim.metrics.dlib_face import chip_grid, descriptor_distance, face_chips, face_descriptor, load_dlib_face
from ftim.metrics.facenet import face_embedding, facenet_cosine, load_facenet
from ftim.metrics.image import l1, on_grey, psnr, ssim, ssim_map
from ftim.metrics.lpips import load_lpips, lpips_distance

__all__ = [
    "chip_grid",
    "descriptor_distance",
    "face_chips",
    "face_descriptor",
    "face_embedding",
    "facenet_cosine",
    "l1",
    "load_dlib_face",
    "load_facenet",
    "load_lpips",
    "lpips_distance",
    "on_grey",
    "psnr",
    "ssim",
    "ssim_map",
]
