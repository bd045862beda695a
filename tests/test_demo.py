"""The demo without a browser: sessions, uploads, errors as sentences, files, the API and its queue."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import gradio as gr
import httpx
import numpy as np
import pygltflib
import pytest
import trimesh
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

import demo.sessions
from demo.app import Config, launch
from demo.desk import Desk, findings
from demo.presets import PRESETS
from demo.sessions import Sessions
from demo.studio import FILES, VIEW_SIDE, Look, Studio, read_upload, save_head, thumbnail
from ftim.errors import PhotoError
from ftim.finder import FoundFace
from ftim.io.glb import UNLIT
from ftim.morphable import EXPRESSIONS
from ftim.photo import Photograph
from ftim.pipeline import Pipeline
from ftim.quality import QualityWarning, assess
from ftim.reconstruction import to_uint8
from tests.fake_studio import FakeStudio, a_result


def picture(path: Path, value: int) -> Path:
    Image.new("RGB", (64, 64), (value,) * 3).save(path)
    return path


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, FakeStudio, Sessions]]:
    """A server with a fake studio."""
    studio = FakeStudio(seconds=0.02)
    monkeypatch.setattr(Studio, "build", lambda device: studio)
    monkeypatch.setattr(FakeStudio, "pipeline", lambda self, size: None)
    folder = tmp_path / "server"
    folder.mkdir()
    page, at, sessions = launch(Config(port=0, examples=False), folder, block=False)
    yield at, studio, sessions
    page.close()


def test_every_preset_is_made_of_known_expressions() -> None:
    for weights in PRESETS.values():
        assert weights is None or all(name in EXPRESSIONS and 0 < value <= 1 for name, value in weights.items())


def test_a_session_takes_everything_along_when_it_ends(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path)
    session = sessions.get("a")
    upload = picture(tmp_path / "upload.png", 9)
    session.uploads.add(upload)
    kept = session.next_file("view", "txt")
    kept.write_text("x")
    assert sessions.get("a") is session and kept.is_file()
    sessions.close("a")
    assert not kept.parent.exists() and not upload.exists() and len(sessions) == 0
    sessions.close("a")


def test_silent_sessions_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo.sessions, "MOST_SESSIONS", 2)
    sessions = Sessions(tmp_path)
    first, second = sessions.get("1"), sessions.get("2")
    sessions.get("1")
    sessions.get("3")
    assert len(sessions) == 2 and Path(first.folder.name).exists() and not Path(second.folder.name).exists()
    sessions.stay = -1.0
    sessions.get("3")
    assert len(sessions) == 1
    sessions.close_all()
    assert not list(tmp_path.iterdir())


def test_what_belongs_to_nobody_is_swept_away_in_time(tmp_path: Path) -> None:
    """Photographs that were sent and never used, and silent sessions; not what is in use or new."""
    sessions = Sessions(tmp_path, stay=100)
    silent, open_one = sessions.get("silent"), sessions.get("open")
    silent.last_seen -= 200
    open_one.uploads.add(tmp_path / "used" / "photo.png")
    for name, age in (("old", 200), ("used", 200), ("new", 0)):
        (tmp_path / name).mkdir()
        path = picture(tmp_path / name / "photo.png", 9)
        for item in (path, path.parent):
            os.utime(item, (time.time() - age,) * 2)
    os.utime(open_one.folder.name, (0, 0))
    sessions.sweep()
    assert not (tmp_path / "old").exists() and (tmp_path / "new" / "photo.png").is_file()
    assert (tmp_path / "used" / "photo.png").is_file(), "its page may ask for another face of it"
    assert not Path(silent.folder.name).exists() and Path(open_one.folder.name).exists() and len(sessions) == 1


def test_a_view_is_never_shown_from_the_readers_cache(tmp_path: Path) -> None:
    session = Sessions(tmp_path).get("a")
    one = session.next_file("view", "webp")
    one.write_text("")
    two = session.next_file("view", "webp")
    assert one != two and not one.exists()


def test_uploads_that_are_no_photographs_are_named_without_their_place(tmp_path: Path) -> None:
    letter = tmp_path / "letter.jpg"
    letter.write_text("Dear Sir")
    large = tmp_path / "large.png"
    Image.new("1", (20000, 11000)).save(large)
    for path, message in ((letter, "known kind"), (large, "210 megapixels"), (picture(tmp_path / "s.png", 1), "")):
        if not message:
            Image.new("RGB", (8, 8)).save(path)
            message = "at least 32"
        with pytest.raises(PhotoError, match=message) as caught:
            read_upload(path)
        assert str(tmp_path) not in str(caught.value)


def test_a_thumbnail_is_square_beyond_the_rim() -> None:
    photo = Photograph(np.full((50, 40, 3), 200, np.uint8))
    assert thumbnail(FoundFace(photo, a_result().face, a_result().fit, 1.0)).shape == (144, 144, 3)


def test_a_real_portrait_through_the_studio(tmp_path: Path) -> None:
    """Faces, the turned and relit head, and a GLB with another expression."""
    pipeline = Pipeline.build(texture_size=256)
    studio = Studio(lambda size: pipeline)
    result = a_result()
    assert len(studio.faces(Photograph(result.photo), 256)) == 1
    front = studio.view(result, Look())
    assert front.shape == (VIEW_SIDE, VIEW_SIDE, 4) and front[0].max() == 0, "the crown is in the picture"
    assert 0.2 < (front[..., 3] > 0).mean() < 0.8
    left, right = (studio.view(result, Look(azimuth=angle, own_light=False)).astype(float) for angle in (-80, 80))
    half = VIEW_SIDE // 2
    assert left[:, :half, :3].mean() > right[:, :half, :3].mean() + 5, "the light comes from the viewer's left"
    turned = studio.view(result, Look(yaw=40))
    assert np.abs(turned.astype(float) - front).mean() > 3
    smile, plain = (save_head(result, name, tmp_path / f"{name}.glb").read_bytes() for name in ("Smile", "Neutral"))
    assert smile != plain and smile[:4] == b"glTF"


def test_the_viewers_head_is_a_sound_file_without_light(tmp_path: Path) -> None:
    path = save_head(a_result(), "Neutral", tmp_path / "head.glb")
    gltf = pygltflib.GLTF2().load(str(path))
    assert gltf is not None and gltf.extensionsUsed == [UNLIT]
    assert all(UNLIT in material.extensions for material in gltf.materials)
    (mesh,) = trimesh.load_scene(path, process=False).geometry.values()
    expected = to_uint8(a_result().texture.texture)
    assert np.array_equal(np.asarray(mesh.visual.material.baseColorTexture)[..., :3], expected)
    assert path.stat().st_size == int.from_bytes(path.read_bytes()[8:12], "little")


def test_the_api_gives_overlay_head_zip_and_report(address: tuple[str, FakeStudio, Sessions], tmp_path: Path) -> None:
    at, _, sessions = address
    client = Client(at, verbose=False, download_files=str(tmp_path / "got"))
    overlay, head, everything, report = client.predict(
        handle_file(picture(tmp_path / "p.png", 90)), 256, 0, api_name="/reconstruct"
    )
    assert Path(head).read_bytes()[:4] == b"glTF" and report["quality"]["seen"] == assess(a_result()).seen
    assert Image.open(overlay).size == a_result().photo.shape[1::-1]
    with zipfile.ZipFile(everything) as archive:
        assert archive.testzip() is None and sorted(archive.namelist()) == sorted(FILES)
        assert json.loads(archive.read("report.json")) == report
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert list(endpoints) == ["/reconstruct"], "what the page itself calls is private"
    for sent, face, message in ((picture(tmp_path / "black.png", 0), 0, "No face was found."), (overlay, 0, "512 or")):
        with pytest.raises(AppError, match=message):
            client.predict(handle_file(sent), 256 if sent != overlay else 300, face, api_name="/reconstruct")
    assert len(sessions) >= 1


@pytest.mark.parametrize(
    ("size", "face", "message"),
    [
        (None, 0, "512 or 1024, not None"),
        ("abc", 0, "512 or 1024, not 'abc'"),
        (256.5, 0, "512 or 1024, not 256.5"),
        ({}, 0, "512 or 1024, not {}"),
        (256, None, "whole number from 0, the largest face, not None"),
        (256, "x" * 999, "not 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx …"),
        (256, 1.5, "not 1.5"),
        (256, -1, "not -1"),
        (256, True, "not True"),
        (256, [], "not \\[\\]"),
    ],
)
def test_a_wrong_number_is_answered_with_a_sentence(size: object, face: object, message: str, tmp_path: Path) -> None:
    studio = FakeStudio()
    desk = Desk(studio, Sessions(tmp_path))
    photo = str(picture(tmp_path / "p.png", 90))
    with pytest.raises(gr.Error, match=message):
        desk.serve(photo, size, face, gr.Request(session_hash="a"))
    assert not studio.asked


def test_wrong_values_come_back_from_the_server_as_sentences(
    address: tuple[str, FakeStudio, Sessions], tmp_path: Path
) -> None:
    """Where Gradio itself would refuse them, its answer would be nothing but "error": null."""
    at, studio, _ = address
    sent = [("files", ("p.png", picture(tmp_path / "p.png", 90).read_bytes(), "image/png"))]
    photo = {"path": httpx.post(f"{at}gradio_api/upload", files=sent).json()[0], "meta": {"_type": "gradio.FileData"}}
    call = f"{at}gradio_api/call/reconstruct"
    for data, message in (
        (f'[{json.dumps(photo)}, "abc", 0]', "texture_size is"),
        (f"[{json.dumps(photo)}, 256, NaN]", "face is a whole number"),
        (f"[{json.dumps(photo)}, 256, []]", "face is a whole number"),
        ('["text", 256, 0]', "must be one uploaded file"),
        ("[{}, 256, 0]", "must be one uploaded file"),
        ("[null, 256, 0]", "There is no photograph"),
    ):
        event = httpx.post(call, content=f'{{"data": {data}}}', headers={"content-type": "application/json"}).json()
        told = httpx.get(f"{call}/{event['event_id']}", timeout=20).text
        assert "event: error" in told and message in told, data
    assert not studio.asked


def test_findings_are_sentences_with_the_warnings_first() -> None:
    quality = replace(assess(a_result()), seen=0.625, warnings=(QualityWarning("small", "It is <small>."),))
    text = findings(quality)
    assert text.count("<li") == 1 + len(quality.sentences()) and "shows 62% of the facial skin" in text
    assert text.startswith("<ul class='ftim-findings'><li class='ftim-warning'>It is &lt;small&gt;.</li>")
    assert "ftim-warning" not in findings(replace(quality, warnings=()))


def test_addresses_and_files_of_the_server_are_refused(address: tuple[str, FakeStudio, Sessions]) -> None:
    at, studio, _ = address
    for path in ("http://127.0.0.1:1/a.png", "/etc/passwd", str(Path(__file__).resolve())):
        call = httpx.post(
            f"{at}gradio_api/call/reconstruct",
            json={"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, 256, 0]},
        )
        if call.status_code == 200:
            told = httpx.get(f"{at}gradio_api/call/reconstruct/{call.json()['event_id']}", timeout=20).text
            assert "event: error" in told and "root:" not in told
        assert httpx.get(f"{at}gradio_api/file={path}", follow_redirects=False).status_code in (403, 404)
    assert not studio.asked


def test_calls_at_once_all_end_in_order(address: tuple[str, FakeStudio, Sessions], tmp_path: Path) -> None:
    """Twenty calls stand in the queue together and are served as they came."""
    at, studio, _ = address
    values = range(20, 40)
    files = [("files", (f"{v}.png", picture(tmp_path / f"{v}.png", v).read_bytes(), "image/png")) for v in values]
    paths = httpx.post(f"{at}gradio_api/upload", files=files).json()
    call = f"{at}gradio_api/call/reconstruct"
    events = []
    for path in paths:
        data = [{"path": path, "meta": {"_type": "gradio.FileData"}}, 256, 0]
        events.append(httpx.post(call, json={"data": data}).json()["event_id"])
    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(lambda event: httpx.get(f"{call}/{event}", timeout=60).text, events))
    assert all("event: complete" in text and "head.glb" in text for text in told)
    assert studio.asked == list(values)


def test_the_server_listens_to_this_computer_alone(address: tuple[str, FakeStudio, Sessions]) -> None:
    at, _, _ = address
    assert at.startswith("http://127.0.0.1:") and Config().host == "127.0.0.1"
    assert "fonts.googleapis" not in httpx.get(at).text
