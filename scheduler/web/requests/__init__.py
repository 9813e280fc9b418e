"""What comes in with a request: parameters, bodies and forms, each with its bounds."""
