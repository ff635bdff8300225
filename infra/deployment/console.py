"""Asking before anything happens, and telling what does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError

from infra.commands.console import output, show_error
from infra.errors import DeploymentError, MaquetteError, NotConfirmed


def say(text: str) -> None:
    """One line for whoever watches."""
    output.print(text, markup=False, soft_wrap=True)


def confirm(question: str, *, yes: bool, expected: str = "yes") -> None:
    """Go on only if the answer is ``expected``, or was given beforehand.

    Raises:
        NotConfirmed: it was not, or there is nobody to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed("There is no terminal to ask on. YES=1 (--yes) goes on without asking.")
    say(f"{question} ")
    try:
        answer = input("> ")
    except EOFError:
        answer = ""
    if answer.strip() != expected:
        raise NotConfirmed(f"The answer was not {expected!r}: nothing was changed.")


def end(command: Callable[[], None]) -> NoReturn:
    """Run a command to its exit status: 0, or 2 after one error's sentence; 130 when interrupted."""
    try:
        command()
    except MaquetteError as error:
        show_error(error)
        sys.exit(2)
    except (BotoCoreError, ClientError) as error:
        show_error(DeploymentError(f"AWS did not do what was asked: {error}"))
        sys.exit(2)
    except KeyboardInterrupt:
        say("Interrupted. The same command goes on from where it was.")
        sys.exit(130)
    sys.exit(0)
