"""Completions: from what one camera saw to the whole head's texture."""

from ftim.completion.base import Completion
from ftim.completion.ftim import FtimCompletion
from ftim.completion.mean import MeanCompletion
from ftim.completion.mirror import MirrorCompletion
from ftim.completion.painting import PaintingCompletion
from ftim.completion.telea import TeleaCompletion

__all__ = [
    "Completion", "FtimCompletion", "MeanCompletion", "MirrorCompletion", "PaintingCompletion", "TeleaCompletion",
]  # fmt: skip
