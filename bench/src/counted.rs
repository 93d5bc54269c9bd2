//! The bench under the system's allocator with a counter before it: `bench run`
//! starts it to count allocations, never to take times.

#[global_allocator]
static ALLOCATOR: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

fn main() -> anyhow::Result<()> {
    bench::main()
}
