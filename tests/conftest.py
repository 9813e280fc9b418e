"""For all tests: what a process inherits from a shell that runs it in the background is put right."""

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Else the processes that tests start would not hear the Ctrl-C that they test.
    signal.signal(signal.SIGINT, signal.default_int_handler)
