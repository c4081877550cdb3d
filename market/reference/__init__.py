"""The venue once more in plain Python: the test oracle for the compiled one."""
