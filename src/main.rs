//! The binary; everything is in the library's `app`.

/// The data plane makes a few small allocations a request on every core; this allocator makes them cheap.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    figway::app::main()
}
