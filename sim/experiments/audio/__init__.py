"""The experiment `audio`: when the audio of a job is released."""
