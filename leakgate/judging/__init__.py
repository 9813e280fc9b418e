"""The verdict on a series, the evidence for it, and how often it errs."""
