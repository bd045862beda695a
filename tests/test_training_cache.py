"""Which photographs may train, and the cache of what was computed from them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast, get_args

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ftim.data import PhotoFile, load_frll, load_official_portraits
from ftim.data.frll import EXPRESSIONS
from ftim.data.photo_set import read_split
from ftim.errors import CacheEntryError, DatasetError, FaceError, NoFaceError, OutputError, PhotoError
from ftim.pipeline import Pipeline
from ftim.structures import Face
from ftim.training.cache import ExampleCache, StoredExample, cache_key
from ftim.training.cases import Source, TrainingCase, load_training_data
from ftim.training.config import TrainingConfig
from tests.fake_pipeline import SIDE, FakePipeline, write_photo
from tests.tiny_training import albedo_of, example_of, triplet_fit

NUMBERS = {
    "neutral": {"left_3quarter": "02", "front": "03", "right_3quarter": "04"},
    "smiling": {"left_3quarter": "07", "front": "08", "right_3quarter": "09"},
}
BLACK = 0
ALL_SOURCES: tuple[Source, ...] = ("frll", "webmorph", "official")


# ---- cases


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All people of FRLL, webmorph, all official portraits, and what is never learnt from: empty files."""
    people = [*read_split("frll_train"), *read_split("frll_validation")]
    for expression, views in NUMBERS.items():
        for view, number in views.items():
            folder = tmp_path / "frll" / f"{expression}_{view}"
            folder.mkdir(parents=True)
            for person in people:
                (folder / f"{person}_{number}.jpg").touch()
    (tmp_path / "official_portraits").mkdir()
    for portrait in range(109):
        (tmp_path / "official_portraits" / f"{portrait:03d}.jpg").touch()
    others = [f"portraits/{digest[:12]}" for name in ("more", "test") for digest in read_split(f"portraits_{name}")]
    for place in ("webmorph/canada/one", "webmorph/another/two", "celeba/img_celeba/182638", *others):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{place}.jpg").touch()
    monkeypatch.setenv("FTIM_CACHE", str(tmp_path))
    return tmp_path


def test_only_those_of_the_committed_lists_are_learnt_from(data: Path) -> None:
    loaded = load_training_data(ALL_SOURCES, data)
    paths = [photo.path for case in loaded.cases for photo in case.photos]
    assert len(set(paths)) == len(paths) == 70 * 2 * 3 + 1 + 70
    people = {path.name[:3] for path in paths if "frll" in path.parts}
    assert people == set(read_split("frll_train")) and not people & set(read_split("frll_validation"))
    official = {path.stem for path in paths if "official_portraits" in path.parts}
    assert official == {f"{number:03d}" for number in range(70)}
    assert {path.relative_to(data).parts[0] for path in paths} == {"frll", "webmorph", "official_portraits"}
    assert set(loaded.licences) == {"frll-train", "webmorph", "official-portraits-train"}
    assert all(loaded.licences.values())


def test_no_source_shares_a_photograph_with_what_validates_or_tests(data: Path) -> None:
    frll, official = load_frll(data).photos("validation"), load_official_portraits("validation", data)
    held_out = {photo.path for photo in (*frll.photos, *official.photos)}
    assert len(held_out) == 12 * 6 + 39
    for source in ALL_SOURCES:
        loaded = load_training_data(("frll", source), data)
        assert not held_out & {photo.path for case in loaded.cases for photo in case.photos}, source


def test_by_default_all_sources_but_ones_own_are_learnt_from() -> None:
    assert (*TrainingConfig().sources, "folder") == get_args(Source) == (*ALL_SOURCES, "folder")


def test_a_triplet_is_left_front_right_of_one_person_at_one_moment(data: Path) -> None:
    loaded = load_training_data(("frll",), data)
    assert len(loaded.triplets) == 70 * len(EXPRESSIONS) and not loaded.portraits
    for case in loaded.triplets:
        assert len(case.photos) == 3
        _, person, expression = case.name.split("-")
        expected = [f"{person}_{number}.jpg" for number in NUMBERS[expression].values()]
        assert [photo.path.name for photo in case.photos] == expected
    names = [case.name for case in load_training_data(ALL_SOURCES, data).cases]
    assert len(set(names)) == len(names) and names[:140] == [case.name for case in loaded.triplets]


@pytest.mark.parametrize("sources", [(), ("webmorph",), ("webmorph", "official")])
def test_portraits_alone_teach_nothing(data: Path, sources: tuple[Source, ...]) -> None:
    with pytest.raises(DatasetError, match=r"training needs triplets.*add the source frll"):
        load_training_data(sources, data)


def test_missing_photograph_is_named(data: Path) -> None:
    person = read_split("frll_train")[3]
    (data / "frll" / "smiling_front" / f"{person}_08.jpg").unlink()
    with pytest.raises(DatasetError, match=rf"{person}_08\.jpg is missing"):
        load_training_data(("frll",), data)


def test_only_a_photograph_without_a_face_may_be_left_out() -> None:
    case = TrainingCase("one", ())
    assert case.may_fail(NoFaceError("no")) and case.may_fail(FaceError("no"))
    assert not case.may_fail(PhotoError("torn")) and not case.may_fail(OutputError("full"))


# ---- cache


class CachePipeline(FakePipeline):
    """The fake one, with the sizes that a key depends on."""

    def __init__(self, size: int = SIDE, texture_size: int = SIDE, regressor: str = "landmarks") -> None:
        super().__init__()
        self.regressor = SimpleNamespace(name=regressor)
        self.size = size
        self.uv = SimpleNamespace(size=texture_size)


def cache_of(folder: Path, pipeline: FakePipeline | None = None) -> ExampleCache:
    return ExampleCache(folder / "cache", cast(Pipeline, pipeline or CachePipeline()))


def case_of(folder: Path, name: str, *brightness: int) -> TrainingCase:
    """Photographs of these brightnesses; 0 shows no face."""
    photos = []
    for index, value in enumerate(brightness):
        path = folder / f"{name.replace('/', '_')}-{index}.png"
        write_photo(path, value, seed=index)
        photos.append(PhotoFile(path.stem, path))
    return TrainingCase(name, tuple(photos))


@pytest.fixture
def three(tmp_path: Path) -> tuple[TrainingCase, ...]:
    return (
        case_of(tmp_path, "frll-001-neutral", 90, 120, 150),
        case_of(tmp_path, "webmorph-canada/one", 100),
        case_of(tmp_path, "official-portraits-train-002", 200),
    )


def test_packing_rounds_pictures_to_bytes_and_keeps_numbers() -> None:
    example = example_of(triplet_fit(1), albedo_of(1))
    stored = StoredExample.pack(example)
    back = stored.unpack()
    pairs = [
        (example.photo, back.photo),
        (example.skin, back.skin),
        (example.partial.color, back.partial.color),
        (example.partial.visibility, back.partial.visibility),
        (example.partial.confidence, back.partial.confidence),
    ]
    for before, after in pairs:
        assert after.dtype == torch.float32
        assert float((before - after).abs().max()) <= 0.5 / 255 + 1e-6
        assert torch.equal((before * 255).round(), (after * 255).round())
    assert torch.equal(back.partial.visibility, example.partial.visibility)
    for name in ("identity", "expression", "rotation", "translation", "light"):
        assert torch.equal(getattr(back.fit, name), getattr(example.fit, name)), name
    assert torch.equal(back.fit.camera.focal, example.fit.camera.focal)
    assert torch.equal(back.fit.camera.principal, example.fit.camera.principal)
    assert (back.fit.camera.height, back.fit.camera.width) == (64, 64)
    again = StoredExample.pack(back)
    assert all(torch.equal(again.tensors[name], value) for name, value in stored.tensors.items())


def test_what_is_read_is_what_was_computed(tmp_path: Path, three: tuple[TrainingCase, ...]) -> None:
    cache = cache_of(tmp_path)
    assert cache.prepare(three, quiet=True) == {}
    for case in three:
        stored, expected = cache.read(case), StoredExample.pack(cache._compute(case))
        assert stored.side == SIDE and stored.tensors.keys() == expected.tensors.keys()
        assert all(torch.equal(value, expected.tensors[name]) for name, value in stored.tensors.items())
        assert len(stored.unpack().photo) == len(case.photos)
    names = {path.name for path in (tmp_path / "cache").iterdir()}
    assert names == {f"{case.name.replace('/', '_')}.safetensors" for case in three}


def test_an_interrupted_preparation_goes_on_where_it_was(
    tmp_path: Path, three: tuple[TrainingCase, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = CachePipeline()
    cache = cache_of(tmp_path, pipeline)
    original = pipeline.face

    def interrupted(photo: object) -> Face:
        if pipeline.detected == 3:
            raise KeyboardInterrupt
        return original(photo)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline, "face", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.prepare(three, quiet=True)
    monkeypatch.undo()
    cache.prepare(three, quiet=True)
    assert pipeline.detected == 5, "the first case, of three photographs, is not computed again"
    cache.prepare(three, quiet=True)
    cache_of(tmp_path, pipeline).prepare(three, quiet=True)
    assert pipeline.detected == 5


def test_a_case_without_a_face_is_left_out_with_its_reason(tmp_path: Path) -> None:
    pipeline = CachePipeline()
    cache = cache_of(tmp_path, pipeline)
    both = (case_of(tmp_path, "dark", 90, BLACK, 90), case_of(tmp_path, "bright", 200))
    for _ in range(2):
        assert cache.prepare(both, quiet=True) == {"dark": "no face was found"}
        assert pipeline.detected == 3, "the second time neither is computed"
    assert (tmp_path / "cache" / "dark.skipped").is_file()
    assert not (tmp_path / "cache" / "dark.safetensors").exists()
    assert len(cache.read(both[1]).unpack().photo) == 1


def test_a_photograph_that_cannot_be_read_ends_the_run(tmp_path: Path) -> None:
    case = case_of(tmp_path, "torn", 90)
    case.photos[0].path.write_bytes(b"no picture")
    with pytest.raises(PhotoError, match=r"torn-0\.png"):
        cache_of(tmp_path).prepare((case,), quiet=True)
    assert not list((tmp_path / "cache").glob("*"))


def test_stale_entries_are_made_again(tmp_path: Path, three: tuple[TrainingCase, ...]) -> None:
    dark = case_of(tmp_path, "dark", BLACK)
    cache_of(tmp_path).prepare((*three, dark), quiet=True)
    pipeline = CachePipeline(texture_size=2 * SIDE)
    other = cache_of(tmp_path, pipeline)
    for case in three:
        with pytest.raises(CacheEntryError, match=r"other code, head or template.*Delete it") as error:
            other.read(case)
        assert case.name.replace("/", "_") in str(error.value)
    assert other.prepare((*three, dark), quiet=True) == {"dark": "no face was found"}
    assert pipeline.detected == 6, "a refusal is of one version too"
    assert all(other.read(case).side == SIDE for case in three)


def test_the_key_is_of_all_that_an_entry_depends_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(size: int = SIDE, texture_size: int = SIDE, regressor: str = "landmarks") -> str:
        return cache_key(cast(Pipeline, CachePipeline(size, texture_size, regressor)))

    keys = [key(), key(2 * SIDE), key(SIDE, 2 * SIDE), key(regressor="deca")]
    for name in ("OPEN_HEAD_PATH", "TEMPLATE_PATH"):
        with monkeypatch.context() as changed:
            (tmp_path / name).write_text("another")
            changed.setattr(f"ftim.training.cache.{name}", tmp_path / name)
            keys.append(key())
    with monkeypatch.context() as changed:
        changed.setattr("ftim.training.cache.code_sha256", lambda parts: "other code")
        keys.append(key())
    assert len(set(keys)) == 7 and key() == keys[0]


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path) -> None:
    """Each byte of the header, and every 97th of the numbers."""
    case, cache = case_of(tmp_path, "one", 90), cache_of(tmp_path)
    cache.prepare((case,), quiet=True)
    path = tmp_path / "cache" / "one.safetensors"
    content = path.read_bytes()
    expected = cache.read(case)
    header = 8 + int.from_bytes(content[:8], "little")
    silent = []
    for position in [*range(header), *range(header, len(content), 97), len(content) - 1]:
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        try:
            cache.read(case)
            silent.append((position, content[position : position + 1]))
        except CacheEntryError as error:
            assert str(path) in str(error) and "Delete it" in str(error)
    assert not silent
    path.write_bytes(content)
    assert all(torch.equal(value, expected.tensors[name]) for name, value in cache.read(case).tensors.items())


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.999])
def test_a_truncated_entry_is_named_and_made_again(tmp_path: Path, share: float) -> None:
    case, cache = case_of(tmp_path, "one", 90), cache_of(tmp_path)
    cache.prepare((case,), quiet=True)
    path = tmp_path / "cache" / "one.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(CacheEntryError, match=r"one\.safetensors cannot be read.*Delete it"):
        cache.read(case)
    cache.prepare((case,), quiet=True)
    cache.read(case)


def test_missing_and_foreign_entries_are_named(tmp_path: Path) -> None:
    case, cache = case_of(tmp_path, "one", 90), cache_of(tmp_path)
    with pytest.raises(CacheEntryError, match=r"one\.safetensors cannot be read"):
        cache.read(case)
    (tmp_path / "cache").mkdir()
    path = tmp_path / "cache" / "one.safetensors"
    save_file({"photo": torch.zeros(1)}, str(path), metadata={"about": json.dumps([1])})
    with pytest.raises(CacheEntryError, match=r"one\.safetensors"):
        cache.read(case)


def test_an_entry_that_lacks_a_tensor_is_damaged(tmp_path: Path) -> None:
    case, cache = case_of(tmp_path, "one", 90), cache_of(tmp_path)
    cache.prepare((case,), quiet=True)
    path = tmp_path / "cache" / "one.safetensors"
    with safe_open(str(path), framework="pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
        metadata = file.metadata()
    del tensors["light"]
    save_file(tensors, str(path), metadata=metadata)
    with pytest.raises(CacheEntryError, match=r"one\.safetensors is damaged"):
        cache.read(case)
