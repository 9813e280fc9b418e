"""The description of HTTP: its operations, the OpenAPI document that they become, and the page of it."""
