"""The experiment `pools`: whether an available node is found, fairly and at a bounded cost."""
