"""The options of a load run, on the command line and in the page of Locust."""
