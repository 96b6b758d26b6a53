"""Training: records as arrays, windows of many sites, the loss, the optimizer and the loop."""
