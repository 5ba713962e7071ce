"""Tests of the tools, without a server: `python3 -m unittest discover -t . tools/tests`."""
