"""The project's own tools in Python, standard library only. `tools.servers` starts real servers."""
