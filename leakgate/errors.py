"""The errors of leakgate. Each text names the problem and the remedy."""


class LeakgateError(Exception):
    """Base of all errors of leakgate."""


class Unreadable(LeakgateError):
    """The memory of this process can't be read. The text has the reason and the remedy."""


class NoReading(LeakgateError):
    """A reading failed: the process, its report or its metrics could not be read. A later one may succeed."""


class Ended(NoReading):
    """The process has ended: no later reading can succeed."""


class Restarted(NoReading):
    """A different process answers now. The next reading is the first one of the new process."""


class WrongInput(LeakgateError):
    """Input of a command or a function is not valid."""


class BadSelector(WrongInput):
    """A selector of metrics is not valid."""


class BadRequest(LeakgateError):
    """A parameter of a request for a report is not valid."""


class TraceError(LeakgateError):
    """The tracing of allocations can't be switched as asked, or is not on."""
