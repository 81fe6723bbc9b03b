"""Measurements of tensorlite against PyTorch eager, one family of workloads a file. See __main__.py."""
