"""LPIPS and FaceNet with ported weights against independent implementations, on real portraits."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ftim.assets import asset_path
from ftim.data import load_portraits
from ftim.errors import AssetUnavailableError, ModelFileError
from ftim.metrics import face_embedding, facenet_cosine, load_facenet, load_lpips, lpips_distance, on_grey
from ftim.metrics.facenet import ASSET as FACENET_ASSET
from ftim.metrics.lpips import ASSET as LPIPS_ASSET
from ftim.metrics.numpy_pickle import read_numpy_pickle


def asset(name: str) -> Path:
    try:
        return asset_path(name)
    except AssetUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def portraits() -> Tensor:
    """(4, 3, 160, 160): the middle of four portraits."""
    try:
        photos = load_portraits("test").photos[:4]
    except AssetUnavailableError as error:
        pytest.skip(str(error))
    crops = []
    for photo in photos:
        pixels = cv2.imread(str(photo.path))
        assert pixels is not None
        height, width = pixels.shape[:2]
        square = pixels[height // 10 : height // 10 + width * 8 // 10, width // 10 : width - width // 10]
        crops.append(cv2.resize(square, (160, 160), interpolation=cv2.INTER_AREA)[..., ::-1].copy())
    return torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255


@pytest.fixture(scope="module")
def facenet():
    return load_facenet(asset(FACENET_ASSET))


@pytest.fixture(scope="module")
def lpips_network():
    return load_lpips(asset(LPIPS_ASSET))


@pytest.fixture
def mask() -> Tensor:
    mask = torch.zeros(4, 1, 160, 160)
    mask[:, :, 30:130, 40:120] = 1
    return mask


def test_facenet_equals_the_graph_run_by_opencv(facenet, portraits: Tensor) -> None:
    graph = cv2.dnn.readNetFromTensorflow(str(asset(FACENET_ASSET)))
    for image in portraits:
        graph.setInput(((image[None] * 255 - 127.5) / 128).numpy())
        expected = graph.forward()
        ours = face_embedding(facenet, image[None]).numpy()
        np.testing.assert_allclose(ours, expected, atol=1e-4)
        assert np.abs(expected).max() > 0.05, "the graph gave nothing to compare with"


def test_facenet_knows_a_person_again(facenet, portraits: Tensor) -> None:
    """A darker, mirrored picture of a person is nearer to it than any other person's."""
    changed = (0.8 * portraits + 0.05).flip(3)
    similarity = face_embedding(facenet, changed) @ face_embedding(facenet, portraits).T
    assert (similarity.argmax(1) == torch.arange(4)).all()
    assert similarity.diagonal().min() > 0.7


def test_facenet_resizes_other_crops(facenet, portraits: Tensor) -> None:
    large = F.interpolate(portraits, (224, 224), mode="bicubic", align_corners=False).clamp(0, 1)
    assert facenet_cosine(facenet, large[:, :, :160, :160], portraits).max() < 0.95
    same = (face_embedding(facenet, large) * face_embedding(facenet, portraits)).sum(1)
    assert same.min() > 0.97


def test_facenet_gradient_is_the_slope(facenet, portraits: Tensor) -> None:
    image = portraits[:1].clone().requires_grad_()
    reference = portraits[1:2]
    facenet_cosine(facenet, image, reference).sum().backward()
    assert image.grad is not None
    step = 1e-3 * image.grad / image.grad.abs().max()
    with torch.no_grad():
        rise = facenet_cosine(facenet, image + step, reference) - facenet_cosine(facenet, image - step, reference)
    assert float(rise) == pytest.approx(2 * float((image.grad * step).sum()), rel=0.05)


def test_networks_are_frozen_and_leave_random_numbers_alone(facenet, lpips_network) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    fresh = load_lpips(asset(LPIPS_ASSET))
    load_facenet(asset(FACENET_ASSET))
    assert torch.equal(torch.get_rng_state(), before)
    for network in (facenet, lpips_network, fresh):
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())


def slow_lpips(image: Tensor, reference: Tensor, tree: dict) -> Tensor:
    """Zhang et al. 2018, equation 1, written out on the file's own arrays."""

    def features(x: Tensor) -> list[Tensor]:
        x = (2 * x - 1 - torch.tensor([-0.030, -0.088, -0.188]).view(3, 1, 1)) / torch.tensor(
            [0.458, 0.448, 0.450]
        ).view(3, 1, 1)
        found = []
        for index, (stride, padding, pool) in enumerate([(4, 2, 0), (1, 2, 1), (1, 1, 1), (1, 1, 0), (1, 1, 0)]):
            layer = tree["AlexNet_0"][f"Conv_{index}"]
            kernel = torch.tensor(np.array(layer["kernel"])).permute(3, 2, 0, 1)
            if pool:
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(F.conv2d(x, kernel, torch.tensor(np.array(layer["bias"])), stride, padding))
            found.append(x)
        return found

    total = torch.zeros(len(image))
    for index, (a, b) in enumerate(zip(features(image), features(reference), strict=True)):
        weight = torch.tensor(np.array(tree[f"NetLinLayer_{index}"]["Conv_0"]["kernel"])).view(1, -1, 1, 1)
        difference = a / (a.norm(dim=1, keepdim=True) + 1e-10) - b / (b.norm(dim=1, keepdim=True) + 1e-10)
        total = total + (weight * difference**2).sum(1).mean((1, 2))
    return total


def test_lpips_equals_its_equation(lpips_network, portraits: Tensor) -> None:
    tree = read_numpy_pickle(asset(LPIPS_ASSET))
    expected = slow_lpips(portraits, portraits.roll(1, 0), tree)
    torch.testing.assert_close(lpips_distance(lpips_network, portraits, portraits.roll(1, 0)), expected)
    assert expected.min() > 0.1


def test_lpips_heads_are_those_of_the_package(lpips_network) -> None:
    import lpips

    heads = Path(lpips.__file__).parent / "weights" / "v0.1" / "alex.pth"
    for name, value in torch.load(heads, map_location="cpu", weights_only=True).items():
        assert torch.equal(lpips_network.state_dict()[name], value)


def test_lpips_grows_with_blur(lpips_network, portraits: Tensor) -> None:
    distances = [
        lpips_distance(lpips_network, F.avg_pool2d(portraits, size, 1, size // 2), portraits) for size in (1, 3, 7)
    ]
    assert distances[0].abs().max() < 1e-6
    assert (distances[1] > 0.01).all()
    assert (distances[2] > distances[1]).all()


def test_masks_hide_the_outside(lpips_network, facenet, portraits: Tensor, mask: Tensor) -> None:
    other = torch.where(mask > 0.5, portraits, torch.rand_like(portraits))
    torch.testing.assert_close(lpips_distance(lpips_network, other, portraits, mask), torch.zeros(4))
    torch.testing.assert_close(facenet_cosine(facenet, other, portraits, mask), torch.ones(4))
    assert (lpips_distance(lpips_network, other, portraits) > 0.1).all()
    expected = facenet_cosine(facenet, on_grey(portraits, mask), on_grey(portraits.roll(1, 0), mask))
    torch.testing.assert_close(facenet_cosine(facenet, portraits, portraits.roll(1, 0), mask), expected)


def test_empty_mask_has_no_value(lpips_network, facenet, portraits: Tensor, mask: Tensor) -> None:
    mask[1] = 0
    for value in (
        lpips_distance(lpips_network, portraits, portraits, mask),
        facenet_cosine(facenet, portraits, portraits, mask),
    ):
        assert torch.isnan(value).tolist() == [False, True, False, False]


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    import pickle

    path = tmp_path / "wrong"
    path.write_bytes(b"not a graph")
    with pytest.raises(ModelFileError, match="wrong"):
        load_facenet(path)
    path.write_bytes(pickle.dumps({"AlexNet_0": {}}))
    with pytest.raises(ModelFileError, match="wrong"):
        load_lpips(path)
