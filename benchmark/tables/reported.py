"""Numbers printed in the paper (Huang, Xi, Shi and Liu, ICBASE 2022, CC BY 4.0), copied from its tables; and why ours
differ from them. How much they differ is computed."""

from __future__ import annotations

from benchmark.runner.records import HEADINGS, PLACES, Scores

TABLE_1: dict[str, Scores] = {
    "deca": Scores(l1=0.044, psnr=21.741, ssim=0.783, lpips=None, cosine=0.613),
    "chen": Scores(l1=0.036, psnr=22.653, ssim=0.854, lpips=None, cosine=0.788),
    "deng": Scores(l1=0.030, psnr=23.568, ssim=0.883, lpips=None, cosine=0.781),
    "tran": Scores(l1=0.080, psnr=17.575, ssim=0.787, lpips=None, cosine=0.432),
    "ftim": Scores(l1=0.024, psnr=27.585, ssim=0.928, lpips=None, cosine=0.918),
}
"""Table 1, by our name for each row, in its order; overlay against input on 10,000 CelebA photographs."""

TABLE_2: dict[str, Scores] = {
    "image_to_image": Scores(l1=0.036, psnr=23.804, ssim=0.910, lpips=None, cosine=0.885),
    "ftim_no_sym_mrf": Scores(l1=0.027, psnr=25.582, ssim=0.926, lpips=None, cosine=0.904),
    "ftim": Scores(l1=0.024, psnr=27.585, ssim=0.928, lpips=None, cosine=0.918),
}
"""Table 2, by our name for each row; overlay against input on 10,000 CelebA photographs; FLAME, FaceScape."""

REPORTED_IMAGES = "10,000"
REPORTED_PLACES = 3
"""Decimals that the paper prints."""

LARGE: dict[str, float] = {"l1": 0.005, "psnr": 1.0, "ssim": 0.02, "cosine": 0.05}
"""A distance from a reported number that asks for a reason."""

COMMON_REASONS = (
    "The paper's list of photographs was not published, so these are others. Scores are over the whole crop of 224 x "
    "224 pixels, where everything around the drawn face is the photograph itself; the paper does not say which pixels "
    "it counts, nor what its overlays show around the head. *retrained* rows share one landmark fit of the open head, "
    "where the paper's each come with a head (FLAME, BFM) and a fit of their own, whose errors count as well; and they "
    "learnt from other photographs, in far fewer steps, than the published models.",
    "*official* rows keep the authors' own head and fit.",
)
"""Of all rows; the last only where there is an official one."""

_OFFICIAL = (
    "The authors' own weights, head and fit, as in the paper; photographs, crop and the pixels that count differ."
)
REASONS: dict[str, str] = {
    "deca": "Only its texture model is kept: a misplaced or misshapen head, which its own encoder can give, costs "
    "nothing here, and its smooth albedo of 50 coefficients is the open head's, drawn on the face alone. Its detail "
    "stage changes the shading, not the colours.",
    "chen": "Only its texture model is kept: its detail network sees what the shared, well placed fit unwraps from the "
    "very photograph that it is compared with.",
    "deng": "Only its texture model is kept, on a well placed head; its encoder starts from the embedding of the very "
    "network that measures likeness.",
    "tran": "Only its texture model is kept: pose and coarse shape are the shared fit's, and its decoders start from "
    "textures that FTIM completed.",
    "ftim": "Our network corrects the mirrored face, and the texture keeps seen skin as it was seen, so that the "
    "overlay is close to a copy; the paper's decodes the whole map from a latent, learnt from FaceScape on FLAME.",
    "ftim_paper": "The network, its inputs and the light taken out by subtraction are the paper's; the head, the "
    "pictures and the number of steps are ours, where the paper's learnt from FaceScape on FLAME.",
}
"""By method, what is its own; ``COMMON_REASONS`` hold besides. A method that is not here has the authors' weights."""


def large_gaps(measured: Scores, reported: Scores) -> dict[str, float]:
    """Measured less reported, where that is ``LARGE``."""
    gaps = {}
    for metric, least in LARGE.items():
        ours, theirs = getattr(measured, metric), getattr(reported, metric)
        if ours is not None and theirs is not None and abs(ours - theirs) >= least:
            gaps[metric] = ours - theirs
    return gaps


def gap_sentence(name: str, method: str, measured: Scores, reported: Scores) -> str:
    """How far a method's scores are from those that the paper has for it, and why.

    ``name`` is what the text calls the method.
    """
    gaps = large_gaps(measured, reported)
    if not gaps:
        return f"- **{name}**: no large gap."
    parts = []
    for metric, gap in gaps.items():
        numbers = f"{getattr(measured, metric):.{PLACES[metric]}f} for {getattr(reported, metric):.{REPORTED_PLACES}f}"
        size = f"{abs(gap):.{min(PLACES[metric], REPORTED_PLACES)}f} {'higher' if gap > 0 else 'lower'}"
        parts.append(f"{HEADINGS[metric][:-2]} {size} ({numbers})")
    return f"- **{name}**: {', '.join(parts)} than reported. {REASONS.get(method, _OFFICIAL)}"
