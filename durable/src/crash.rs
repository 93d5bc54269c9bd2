//! Crash points: named places at which a test ends the process at once, as a
//! power cut would, to see what is found afterwards. Without the feature
//! `crash-points` they are nothing.
//!
//! With it, `TITAN_CRASH_AT=name:n` aborts the process when it passes the point
//! for the n-th time (the first without a number), and `TITAN_CRASH_LIST=file`
//! adds a line with the name to that file at each passing, so that a test can
//! try them all.

/// A place at which a test may end the process.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub fn point(_name: &'static str) {}

#[cfg(feature = "crash-points")]
pub use armed::point;

#[cfg(feature = "crash-points")]
mod armed {
    use std::{
        env,
        fs::{File, OpenOptions},
        io::Write as _,
        process,
        sync::{
            LazyLock, Mutex, PoisonError,
            atomic::{AtomicU64, Ordering},
        },
    };

    struct Plan {
        /// Name and which passing.
        at: Option<(String, u64)>,
        passed: AtomicU64,
        list: Option<Mutex<File>>,
    }

    static PLAN: LazyLock<Plan> = LazyLock::new(|| Plan {
        at: env::var("TITAN_CRASH_AT").ok().map(|text| parse(&text)),
        passed: AtomicU64::new(0),
        list: env::var_os("TITAN_CRASH_LIST").map(|path| {
            let file = OpenOptions::new().create(true).append(true).open(&path);
            Mutex::new(file.expect("the file of TITAN_CRASH_LIST can be written"))
        }),
    });

    fn parse(text: &str) -> (String, u64) {
        let (name, count) = text.split_once(':').unwrap_or((text, "1"));
        let count = count.parse().expect("TITAN_CRASH_AT is name or name:number");
        (name.to_owned(), count)
    }

    /// A place at which a test may end the process.
    ///
    /// # Panics
    /// When `TITAN_CRASH_AT` or `TITAN_CRASH_LIST` make no sense.
    pub fn point(name: &'static str) {
        let plan = &*PLAN;
        if let Some(list) = &plan.list {
            let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(list, "{name}").expect("the file of TITAN_CRASH_LIST can be written");
        }
        let Some((at, count)) = &plan.at else { return };
        // No destructor, no flush, no goodbye.
        if at == name && plan.passed.fetch_add(1, Ordering::SeqCst) + 1 == *count {
            process::abort();
        }
    }
}
