"""The experiment `orphans`: whether entries remain after nodes, jobs and sockets are gone."""
