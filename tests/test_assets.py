from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from ftim.assets import AssetStore, asset_path, find_asset, table
from ftim.assets.archives import Progress, run_pip
from ftim.assets.downloads import SourceFailedError, download
from ftim.assets.listing import list_assets
from ftim.assets.table import ASSETS, Asset, PypiArchive
from ftim.errors import AssetError, AssetHashError, AssetStorageError, AssetUnavailableError
from tests.local_site import Site, serve

CONTENT = bytes(range(256)) * 4000
MEMBER = "thing-1.0/thing/weights.bin"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def sdist_with(content: bytes, member: str = MEMBER) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name, data in (("../outside.txt", b"never written"), (member, content)):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def wheel_with(content: bytes, member: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        wheel.writestr(member, content)
    return buffer.getvalue()


def make_asset(url: str | None = None, archive: bytes | None = None, member: str | None = MEMBER) -> Asset:
    source = None
    if archive is not None:
        source = PypiArchive("thing", "1.0", "sdist", sha256(archive), len(archive), member)
    return Asset(
        name="weights.bin",
        purpose="testing",
        sha256=sha256(CONTENT),
        size=len(CONTENT),
        licence="Test Licence 1.0",
        home="the author's page",
        url=url,
        archive=source,
    )


@dataclass
class FakePip:
    """Delivers bytes in pip's place, or fails with an output."""

    archive: bytes = b""
    status: int = 0
    output: str = ""
    commands: list[list[str]] = field(default_factory=list)
    requirements: list[str] = field(default_factory=list)

    def __call__(self, command: list[str], environment: Mapping[str, str], progress: Progress) -> tuple[int, str]:
        self.commands.append(command)
        self.requirements.append(Path(command[command.index("--requirement") + 1]).read_text())
        progress()
        if self.status == 0:
            (Path(command[command.index("--dest") + 1]) / "thing-1.0.tar.gz").write_bytes(self.archive)
        return self.status, self.output


def store_in(folder: Path, pip: FakePip | None = None, own: Path | None = None, offline: bool = False) -> AssetStore:
    return AssetStore(folder / "cache", own, offline, quiet=True, pip=pip or FakePip(status=1, output="ERROR: no pip"))


def assert_clear(error: pytest.ExceptionInfo[AssetError], remedy: str) -> None:
    """One message that names the file, the licence and the remedy."""
    text = str(error.value)
    assert "weights.bin" in text and "Test Licence 1.0" in text and remedy in text


def test_official_address_first_then_the_cache(tmp_path: Path) -> None:
    pip = FakePip()
    with serve(Site(CONTENT)) as site:
        store = store_in(tmp_path, pip)
        path = store.path(make_asset(site.url, b"x"))
        assert path.read_bytes() == CONTENT
        assert store.path(make_asset(site.url, b"x")) == path
    assert site.asked == [None] and pip.commands == []


@pytest.mark.parametrize("status", [403, 404, 500])
def test_mirror_is_used_when_the_official_address_fails(tmp_path: Path, status: int) -> None:
    archive = sdist_with(CONTENT)
    pip = FakePip(archive)
    with serve(Site(CONTENT, status=status)) as site:
        path = store_in(tmp_path, pip).path(make_asset(site.url, archive))
    assert path.read_bytes() == CONTENT and len(pip.commands) == 1
    assert not (tmp_path / "outside.txt").exists() and not (tmp_path / "cache" / "outside.txt").exists()


def test_pip_is_asked_for_one_archive_by_hash(tmp_path: Path) -> None:
    archive = wheel_with(CONTENT, MEMBER)
    pip = FakePip(archive)
    asset = make_asset(archive=archive)
    assert asset.archive is not None
    store_in(tmp_path, pip).path(asset)
    store_in(tmp_path / "again", pip).path(replace(asset, archive=replace(asset.archive, kind="wheel")))
    for command, form in zip(pip.commands, ("--no-binary=:all:", "--only-binary=:all:"), strict=True):
        assert command[1:4] == ["-m", "pip", "download"]
        assert {"--no-deps", "--require-hashes", form} <= set(command)
    assert pip.requirements == [f"thing==1.0 --hash=sha256:{sha256(archive)}\n"] * 2


def test_archive_that_is_itself_the_asset(tmp_path: Path) -> None:
    asset = make_asset(archive=CONTENT, member=None)
    assert store_in(tmp_path, FakePip(CONTENT)).path(asset).read_bytes() == CONTENT


def test_own_folder_comes_first_and_is_not_written_to(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "weights.bin").write_bytes(CONTENT)
    path = store_in(tmp_path, own=own, offline=True).path(make_asset())
    assert path == own / "weights.bin" and os.listdir(own) == ["weights.bin"]


def test_wrong_file_in_own_folder_is_an_error_and_stays(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(AssetHashError) as error:
        store_in(tmp_path, FakePip(b""), own=tmp_path).path(make_asset())
    assert_clear(error, "Delete it from that folder")
    assert (tmp_path / "weights.bin").exists()


def test_download_goes_on_after_a_break(tmp_path: Path) -> None:
    with serve(Site(CONTENT, cut_after=300_000)) as site:
        assert store_in(tmp_path).path(make_asset(site.url)).read_bytes() == CONTENT
    assert site.asked == [None, "bytes=300000-"]
    assert not (tmp_path / "cache" / "weights.bin.part").exists()


def test_download_goes_on_in_a_later_run(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "weights.bin.part").write_bytes(CONTENT[:1234])
    with serve(Site(CONTENT)) as site:
        assert store_in(tmp_path).path(make_asset(site.url)).read_bytes() == CONTENT
    assert site.asked == ["bytes=1234-"]


def test_download_begins_anew_when_the_server_cannot_resume(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "weights.bin.part").write_bytes(CONTENT[:1234])
    with serve(Site(CONTENT, ranges=False)) as site:
        assert store_in(tmp_path).path(make_asset(site.url)).read_bytes() == CONTENT
    assert site.asked == ["bytes=1234-"]


def test_a_server_that_drips_is_given_up(tmp_path: Path) -> None:
    """Each read is quick, and the whole would take hours; what came is kept."""
    with (
        serve(Site(CONTENT, pause=0.06)) as site,
        pytest.raises(SourceFailedError, match=r"too slow: .* bytes a second"),
    ):
        download(site.url, tmp_path / "part", len(CONTENT), quiet=True, slow_after=0.4)
    assert 100 <= (tmp_path / "part").stat().st_size < 5000


def test_wrong_content_everywhere(tmp_path: Path) -> None:
    archive = sdist_with(CONTENT[::-1])
    with serve(Site(CONTENT[::-1])) as site, pytest.raises(AssetHashError) as error:
        store_in(tmp_path, FakePip(archive)).path(make_asset(site.url, archive))
    assert_clear(error, "put the file into")
    assert site.url in str(error.value) and "thing 1.0 on PyPI" in str(error.value)
    assert not (tmp_path / "cache" / "weights.bin").exists()
    assert not (tmp_path / "cache" / "weights.bin.part").exists(), "a wrong part would be resumed for ever"


def test_wrong_official_file_falls_back_to_the_mirror(tmp_path: Path) -> None:
    archive = sdist_with(CONTENT)
    with serve(Site(CONTENT[:-5])) as site:
        path = store_in(tmp_path, FakePip(archive)).path(make_asset(site.url, archive))
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("pack", [sdist_with, lambda content: wheel_with(content, MEMBER)], ids=["sdist", "wheel"])
def test_truncated_archive(tmp_path: Path, pack) -> None:
    archive = pack(CONTENT)
    with pytest.raises(AssetHashError, match="truncated") as error:
        store_in(tmp_path, FakePip(archive[: len(archive) // 2])).path(make_asset(archive=archive))
    assert_clear(error, "try again")
    # Even with a hash that fits, a broken archive is a clear error.
    half = archive[: len(archive) // 2]
    with pytest.raises(AssetHashError):
        store_in(tmp_path, FakePip(half)).path(make_asset(archive=half))


def test_altered_archive_is_refused_although_its_member_is_right(tmp_path: Path) -> None:
    with pytest.raises(AssetHashError, match="altered"):
        store_in(tmp_path, FakePip(sdist_with(CONTENT))).path(make_asset(archive=wheel_with(CONTENT, MEMBER)))


def test_archive_without_the_member(tmp_path: Path) -> None:
    archive = sdist_with(CONTENT, "thing-1.0/other.bin")
    with pytest.raises(AssetHashError, match=r"holds no file thing-1\.0/thing/weights\.bin"):
        store_in(tmp_path, FakePip(archive)).path(make_asset(archive=archive))


def test_hash_refused_by_pip(tmp_path: Path) -> None:
    pip = FakePip(status=1, output="ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.")
    with pytest.raises(AssetHashError) as error:
        store_in(tmp_path, pip).path(make_asset(archive=b"x"))
    assert_clear(error, "put the file into")


def test_no_network(tmp_path: Path) -> None:
    pip = FakePip(status=1, output="ERROR: Could not find a version that satisfies the requirement thing==1.0")
    with serve(Site(CONTENT)) as site:
        pass  # the port is closed again
    with pytest.raises(AssetUnavailableError) as error:
        store_in(tmp_path, pip).path(make_asset(site.url, b"x"))
    assert_clear(error, "Check the network")
    assert "no connection" in str(error.value) and "Could not find a version" in str(error.value)


def test_real_pip_without_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    store = replace(store_in(tmp_path), pip=run_pip)
    with pytest.raises(AssetUnavailableError, match=r"No matching distribution|Could not find") as error:
        store.path(make_asset(archive=b"x"))
    assert_clear(error, "pip's settings")


def test_offline_asks_nobody(tmp_path: Path) -> None:
    pip = FakePip()
    with serve(Site(CONTENT)) as site, pytest.raises(AssetUnavailableError) as error:
        store_in(tmp_path, pip, offline=True).path(make_asset(site.url, b"x"))
    assert_clear(error, "FTIM_OFFLINE")
    assert site.asked == [] and pip.commands == []


def test_full_disk(tmp_path: Path) -> None:
    with serve(Site(CONTENT)) as site:
        store = replace(store_in(tmp_path), free_bytes=lambda folder: 1000)
        with pytest.raises(AssetStorageError) as error:
            store.path(make_asset(site.url))
    assert_clear(error, "Make room")
    assert site.asked == []
    pip = FakePip(status=1, output="ERROR: Could not install: [Errno 28] No space left on device")
    with pytest.raises(AssetStorageError, match="No space left") as error:
        store_in(tmp_path, pip).path(make_asset(archive=b"x"))
    assert_clear(error, "FTIM_CACHE")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device /dev/full")
def test_disk_that_fills_during_the_download(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "weights.bin.part").symlink_to("/dev/full")
    with serve(Site(CONTENT)) as site, pytest.raises(AssetStorageError, match="No space left") as error:
        store_in(tmp_path, FakePip(CONTENT)).path(make_asset(site.url, CONTENT, None))
    assert_clear(error, "FTIM_CACHE")


def test_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in its place")
    with pytest.raises(AssetStorageError) as error:
        store_in(tmp_path, FakePip(CONTENT)).path(make_asset(archive=CONTENT, member=None))
    assert_clear(error, "FTIM_CACHE")


def test_damaged_cache_file_is_set_aside_and_fetched_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asset = make_asset(archive=CONTENT, member=None)
    store = store_in(tmp_path, FakePip(CONTENT))
    path = store.path(asset)
    damaged = b"?" + CONTENT[1:]
    path.write_bytes(damaged)
    assert store.path(asset).read_bytes() == CONTENT
    assert path.with_name("weights.bin.rejected").read_bytes() == damaged
    assert "weights.bin.rejected" in caplog.text


def test_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    asset = make_asset(archive=CONTENT, member=None)
    store = store_in(tmp_path, FakePip(CONTENT))
    path = store.path(asset)
    status = path.stat()
    path.write_bytes(b"?" + CONTENT[1:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert store.find(asset) == path, "same size and time: the remembered check counts"
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert store.find(asset) is None


def test_several_at_once_fetch_once(tmp_path: Path) -> None:
    pip = FakePip(CONTENT)
    asset = make_asset(archive=CONTENT, member=None)
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(store_in(tmp_path, pip).path(asset).read_bytes()))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 6 and len(pip.commands) == 1


def test_no_scratch_files_remain(tmp_path: Path) -> None:
    archive = sdist_with(CONTENT)
    store_in(tmp_path, FakePip(archive)).path(make_asset(archive=archive))
    assert sorted(os.listdir(tmp_path / "cache")) == ["checked", "weights.bin", "weights.bin.lock"]


def test_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTIM_CACHE", str(tmp_path / "c"))
    monkeypatch.setenv("FTIM_ASSETS", str(tmp_path / "a"))
    monkeypatch.setenv("FTIM_OFFLINE", "1")
    store = AssetStore.from_environment()
    assert (store.cache, store.folder, store.offline) == (tmp_path / "c", tmp_path / "a", True)
    assert AssetStore.from_environment(tmp_path, False) == replace(store, folder=tmp_path, offline=False)
    with pytest.raises(AssetUnavailableError, match=r"Apache-2\.0"):
        asset_path("face_landmarker.task")
    monkeypatch.setenv("FTIM_OFFLINE", "0")
    assert not AssetStore.from_environment().offline


def test_unknown_name() -> None:
    with pytest.raises(AssetError, match=r"face_landmarker\.task"):
        find_asset("face_landmarker")


def test_table_is_complete() -> None:
    for name, asset in ASSETS.items():
        assert name == asset.name == Path(name).name
        assert asset.licence and asset.purpose and asset.home and asset.size > 0
        assert asset.url or asset.archive
        assert len(asset.sha256) == 64 and set(asset.sha256) <= set("0123456789abcdef")
        assert asset.url is None or asset.url.startswith("https://")
        if asset.archive:
            assert len(asset.archive.sha256) == 64
            assert asset.archive.member or (asset.archive.sha256, asset.archive.size) == (asset.sha256, asset.size)
    assert "NON-COMMERCIAL" in ASSETS["79999_iter.pth"].licence and ASSETS["79999_iter.pth"].optional


def test_every_file_has_a_user_in_the_package() -> None:
    package = Path(table.__file__).parents[1]
    modules = [path for path in package.rglob("*.py") if path != Path(table.__file__)]
    code = "\n".join(path.read_text(encoding="utf-8") for path in modules)
    assert [name for name in ASSETS if f'"{name}"' not in code] == []


def test_listing_names_every_file_licence_and_state(tmp_path: Path) -> None:
    (tmp_path / "face_landmarker.task").write_bytes(b"wrong")
    text = list_assets(store_in(tmp_path, own=tmp_path))
    for asset in ASSETS.values():
        assert f"{asset.name}  (" in text and asset.licence.split()[0] in text
    assert "WRONG" in text and "not present" in text and str(tmp_path / "cache") in text


def test_real_face_landmarker_is_what_the_table_says() -> None:
    path = asset_path("face_landmarker.task")
    assert sha256(path.read_bytes()) == ASSETS["face_landmarker.task"].sha256
