"""What is built, installed where no source tree is."""
