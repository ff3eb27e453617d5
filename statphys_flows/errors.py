"""The errors of this library. Each message is a sentence: what was wrong, where, and what to write instead."""


class StudyError(ValueError):
    """A study cannot run as requested: bad input, an unusable file. The shell prints it and exits with status 2."""


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


class StudyInterrupted(KeyboardInterrupt):
    """Ctrl-C during a study. The message says what is on disk and how to resume; the shell prints it and exits 130.

    A KeyboardInterrupt, so that `except Exception` in a user's script does not swallow it.
    """


class StudyStopped(StudyInterrupted):
    """A study that ended before it was finished because its time was up (`stop_after`), or a scheduler said so. It goes
    on with `resume=True`; the shell exits with status 75 ("try again")."""
