"""Several schedulers on one store of jobs, in drawn orders of their steps: scheduler/shared/ in virtual time."""
