"""The command `voxpool`: a file for each group of commands. Heavy imports are inside them, so that --help is quick."""


def main() -> None:
    """Run the command line and exit; the codes are those of exits.py."""
    from voxpool.scheduler.cli.exits import run_commands
    from voxpool.scheduler.cli.root import cli

    run_commands(cli, "voxpool")
