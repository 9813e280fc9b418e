"""The command `voxpool-load`: what is done with load tests beside running one."""
