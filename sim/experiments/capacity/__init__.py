"""The experiment `capacity`: how many nodes a rate of jobs needs."""
