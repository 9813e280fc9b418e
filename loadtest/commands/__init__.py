"""The command `voxpool-load`: its subcommands compare runs and run prepared measurements."""
