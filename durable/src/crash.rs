//! Crash points: named places at which a test ends the process at once, as a
//! power cut would, to see what is found afterwards. Without the feature
//! `crash-points` they are nothing.
//!
//! With it, `TITAN_CRASH_AT=name:n` aborts the process when it passes the point
//! for the n-th time (the first without a number), `TITAN_STOP_AT` stops it there
//! until somebody sends it SIGCONT, and `TITAN_CRASH_LIST=file` adds a line with
//! the name to that file at each passing, so that a test can try them all.

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
        process::{self, Command},
        sync::{
            LazyLock, Mutex, PoisonError,
            atomic::{AtomicU64, Ordering},
        },
    };

    struct Plan {
        crash: Option<Place>,
        stop: Option<Place>,
        list: Option<Mutex<File>>,
    }

    /// The n-th passing of a point.
    struct Place {
        name: String,
        number: u64,
        passed: AtomicU64,
    }

    static PLAN: LazyLock<Plan> = LazyLock::new(|| Plan {
        crash: env::var("TITAN_CRASH_AT").ok().map(|text| Place::parse(&text)),
        stop: env::var("TITAN_STOP_AT").ok().map(|text| Place::parse(&text)),
        list: env::var_os("TITAN_CRASH_LIST").map(|path| {
            let file = OpenOptions::new().create(true).append(true).open(&path);
            Mutex::new(file.expect("the file of TITAN_CRASH_LIST can be written"))
        }),
    });

    impl Place {
        fn parse(text: &str) -> Self {
            let (name, number) = text.split_once(':').unwrap_or((text, "1"));
            let number = number.parse().expect("a crash point is given as name or name:number");
            Self { name: name.to_owned(), number, passed: AtomicU64::new(0) }
        }

        fn is_here(&self, name: &str) -> bool {
            self.name == name && self.passed.fetch_add(1, Ordering::SeqCst) + 1 == self.number
        }
    }

    /// A place at which a test may end the process.
    ///
    /// # Panics
    /// When one of the variables makes no sense.
    pub fn point(name: &'static str) {
        let plan = &*PLAN;
        if let Some(list) = &plan.list {
            let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(list, "{name}").expect("the file of TITAN_CRASH_LIST can be written");
        }
        if plan.crash.as_ref().is_some_and(|place| place.is_here(name)) {
            // No destructor, no flush, no goodbye.
            process::abort();
        }
        if plan.stop.as_ref().is_some_and(|place| place.is_here(name)) {
            let me = process::id().to_string();
            Command::new("kill").args(["-STOP", &me]).status().expect("`kill` runs");
        }
    }
}
