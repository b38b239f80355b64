//! The `watchpost` binary: everything is in the library, so that tests and tasks can use it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    watchpost::main()
}
