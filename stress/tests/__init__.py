"""Tests of the harness: `cd stress && python3 -m unittest`. They need some release binaries: `cargo
build --release --example openloop --example shoppers --example rush`."""
