"""All tests of voxpool; tests/fundamentals is the place to start reading."""
