"""Numbers printed in the paper (Huang, Xi, Shi and Liu, ICBASE 2022, CC BY 4.0), copied from its tables."""

from __future__ import annotations

from benchmark.records import Scores

TABLE_2: dict[str, Scores] = {
    "image_to_image": Scores(l1=0.036, psnr=23.804, ssim=0.910, lpips=None, cosine=0.885),
    "ftim_no_sym_mrf": Scores(l1=0.027, psnr=25.582, ssim=0.926, lpips=None, cosine=0.904),
    "ftim": Scores(l1=0.024, psnr=27.585, ssim=0.928, lpips=None, cosine=0.918),
}
"""Table 2, by our name for each row; overlay against input on 10,000 CelebA photographs; FLAME, FaceScape."""
