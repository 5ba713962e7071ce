"""Tests of the harness: `cd stress && python3 -m unittest`. They need some release binaries: `cargo
build --release --example openloop --example user_simulation --example contention`."""
