"""Scripts that complete commands, options and files of ``ftim`` in a shell."""

from __future__ import annotations

import contextlib
import io
from typing import Literal

from tyro.extras import SubcommandApp

Shell = Literal["bash", "zsh", "fish"]

# Tyro's scripts know commands, options and their choices, and offer no file where one is an argument of its own.
_FILES = {
    "bash": r"""
# Options once a dash was typed; otherwise files and folders where the command has no word of its own to offer.
_ftim() {
  _tyro_ftim
  local reply word="${COMP_WORDS[COMP_CWORD]}"
  local -a replies=("${COMPREPLY[@]}")
  COMPREPLY=()
  for reply in "${replies[@]}"; do
    if [[ -n $reply && ($reply != -* || $word == -*) ]]; then
      COMPREPLY+=("$reply")
    fi
  done
}
complete -o default -F _ftim ftim
""",
    "zsh": r"""
# Files and folders, except where a command, an option or an option's value is expected.
if ((CURRENT > 2)) && [[ ${words[CURRENT]} != -* && ${words[CURRENT-1]} != -* ]]; then
  _files
fi
""",
    "fish": r"""
# Files and folders, except where a command or an option is expected.
complete --command ftim --force-files --condition 'not __fish_use_subcommand'
""",
}


def completion_script(app: SubcommandApp, shell: Shell) -> str:
    """The script of one shell. It holds all that it needs: completing starts neither ``ftim`` nor PyTorch."""
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        app.cli(prog="ftim", args=["--tyro-write-completion", shell, "-"])
    return printed.getvalue() + _FILES[shell]
