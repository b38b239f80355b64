//! The `watchpost` binary: everything is in the library, so that tests and tasks can use it.

use std::process::ExitCode;

// It gives memory back: with 1,000 monitors the process takes half of what it took with the allocator before
// (docs/performance.md). How it is set up stands in .cargo/config.toml.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    watchpost::main()
}
