"""Requests that nobody should send, to a server with a fake studio; and that a bad answer would be noticed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.app import Config, launch
from demo.sessions import Sessions
from demo.studio import Studio
from scripts.measure import server_abuse
from scripts.measure.server_abuse import KINDS, Visitor, bad_photo, files_below, told
from tests.fake_studio import FakeStudio


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Sessions, Path]]:
    folder = tmp_path_factory.mktemp("server")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Studio, "build", lambda device: FakeStudio(seconds=0.01))
        patch.setattr(FakeStudio, "pipeline", lambda self, size: None)
        page, address, sessions = launch(Config(port=0, examples=False), folder, block=False)
        yield address, sessions, folder
        page.close()


@pytest.mark.parametrize("kind", ["photographs", "files outside", "replayed sessions", "fuzzed calls"])
def test_each_is_answered_as_it_should_be(kind: str, server: tuple[str, Sessions, Path]) -> None:
    wrong = {number: reason for number in range(12) if (reason := KINDS[kind](server[0], number))}
    assert wrong == {}


def test_a_body_that_is_too_large_is_refused(
    server: tuple[str, Sessions, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server_abuse.oversized(server[0], 0) is None
    assert Visitor(server[0]).upload(b"small").status_code == 200


def test_what_is_no_photograph_is_answered_in_words(server: tuple[str, Sessions, Path]) -> None:
    for number in range(3):
        answer = Visitor(server[0]).reconstruct(bad_photo(number))
        assert told(answer) is None and "event: error" in answer


def test_nothing_is_left_when_a_visitor_has_gone(server: tuple[str, Sessions, Path]) -> None:
    address, sessions, folder = server
    assert KINDS["photographs"](address, 3) is None
    assert files_below(folder), "so that the test can fail"
    sessions.stay = -1.0
    sessions.sweep()
    assert not files_below(folder) and len(sessions) == 0


@pytest.mark.parametrize(
    "answer",
    ["Traceback (most recent call last)", "status 500: oops", "event: complete", "root:x:0:0", 'File "/app/x.py"'],
)
def test_a_bad_answer_is_noticed(answer: str) -> None:
    assert told(answer) is not None and told('event: error\ndata: "texture_size is 256"') is None
