"""Tests of the harness: `cd stress && python3 -m unittest`. They need the release binary of
openloop: `cargo build --release --example openloop`."""
