"""Rules of the source tree, each proven with a planted violation."""
