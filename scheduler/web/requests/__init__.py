"""The input of a request: parameters, bodies and forms, each with its bounds."""
