"""Traces: spans of jobs, sampled, and their export by OTLP."""
