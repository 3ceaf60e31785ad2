//! The binary; everything is in the library's `app`.

fn main() -> std::process::ExitCode {
    figway::app::main()
}
