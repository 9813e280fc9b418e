"""The errors of leakgate. Each text says what is wrong and what to do about it."""


class LeakgateError(Exception):
    """Whatever leakgate itself raises."""


class Unreadable(LeakgateError):
    """The memory of this process can't be read. The text says why, and what would make it readable."""


class NoReading(LeakgateError):
    """A reading failed: the process, its report or its metrics could not be read. A later one may succeed."""


class Ended(NoReading):
    """The process has ended: no later reading can succeed."""


class Restarted(NoReading):
    """Another process answers than before. The next reading is the first one of the new process."""


class WrongInput(LeakgateError):
    """What was given to a command, or to a function, can't be used."""


class BadSelector(WrongInput):
    """The text that names metrics can't be used."""


class BadRequest(LeakgateError):
    """A parameter of a request for a report can't be used."""


class TraceError(LeakgateError):
    """The tracing of allocations can't be switched as asked, or is not on."""
