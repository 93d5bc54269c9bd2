//! What this process has used so far.

use serde::{Deserialize, Serialize};

/// CPU time of all threads, and allocations where they are counted.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Nanoseconds, in user space and kernel.
    pub(crate) cpu_ns: f64,
    /// Calls of the allocator that give memory, reallocations among them. Zero
    /// in a process that does not count.
    pub(crate) allocations: f64,
    /// Bytes that were asked for by them.
    pub(crate) allocated_bytes: f64,
}

impl Usage {
    #[expect(clippy::cast_precision_loss, reason = "exact for any run of a few minutes")]
    pub(crate) fn of_this_process() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let heap = stats_alloc::INSTRUMENTED_SYSTEM.stats();
        Self {
            cpu_ns: time.tv_sec as f64 * 1e9 + time.tv_nsec as f64,
            allocations: (heap.allocations + heap.reallocations) as f64,
            allocated_bytes: heap.bytes_allocated as f64,
        }
    }

    /// What was used since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            cpu_ns: self.cpu_ns - before.cpu_ns,
            allocations: self.allocations - before.allocations,
            allocated_bytes: self.allocated_bytes - before.allocated_bytes,
        }
    }
}
