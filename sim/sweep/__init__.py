"""Many runs on one machine or on many, and the table of their figures."""
