"""The processes: pure functions of arrays, one process a file, no state, no files, no time loop."""
