"""What a run leaves to look at: its trace and hash, figures, censuses, and pictures for Perfetto."""
