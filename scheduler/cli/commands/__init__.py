"""The commands of voxpool, a file for each group of them."""
