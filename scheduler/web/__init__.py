"""The doors: HTTP for jobs, WebSockets for clients and nodes. They translate messages; the dispatcher decides."""
