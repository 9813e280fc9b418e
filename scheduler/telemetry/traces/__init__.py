"""Traces: spans of jobs, sampled, and how they are sent by OTLP."""
