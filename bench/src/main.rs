//! `bench run` measures; see the library.

fn main() -> anyhow::Result<()> {
    bench::main()
}
