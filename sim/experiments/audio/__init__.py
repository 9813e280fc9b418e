"""When the audio of a job is released."""
