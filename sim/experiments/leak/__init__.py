"""The experiment `leak`: whether finished jobs accumulate."""
