"""What users of a load run do: what they ask for, when, over which wire, and what must come back."""
