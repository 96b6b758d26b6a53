"""From a configuration to runs on disk: training, comparison, benchmark, transfer and the twin experiment."""
