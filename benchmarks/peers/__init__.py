"""The workloads as the users of other libraries write them, a file for each library: `build(name)` -> (step, check values)."""
