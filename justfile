# What people who work on aichat type; `just` lists it.

_list:
    @just --list

# Everything that must hold before a change lands.
check:
    .ci/run

# The tests alone.
test *args:
    cargo test --workspace {{ args }}

# Formats the code.
fmt:
    cargo fmt --all

# A benchmark, or all: `just bench startup`.
bench *names:
    cargo build --release -p aichat-cli
    cargo run --release -p aichat-benches --features peers -- {{ names }}
