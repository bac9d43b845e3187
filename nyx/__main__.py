"""The program `nyx`, and `python -m nyx`. Ctrl-C ends it without a traceback from the first line on: before anything
else is imported, by a handler that raises nothing."""

import os
import signal
import sys


def _stop(signum: int, frame: object) -> None:
    try:
        os.write(2, b"nyx: stopped\n")
    finally:
        os._exit(128 + signum)


def main() -> None:
    """Runs the command line, and ends the process with its exit code."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _stop)
    from nyx import console

    console.open_streams()
    console.hear_warnings()
    import nyx

    if "ResourceAwareHRM" not in getattr(nyx, "__all__", ()):  # Tor's monitor nyx was installed over this package
        console.say(f"warning: {nyx.__file__} is of another program; `{sys.executable} -m nyx doctor` says what to do")
    from nyx import cli

    cli.main()


if __name__ == "__main__":
    main()
