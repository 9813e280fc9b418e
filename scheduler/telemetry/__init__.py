"""How the scheduler tells what it does: logs, later metrics and traces. They hear it as Observers."""
