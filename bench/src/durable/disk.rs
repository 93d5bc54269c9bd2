//! What the disk itself can do: no commit is faster than this.

use std::{
    fs::File,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};

use super::micros;
use crate::report::median;

/// Times per second, and the median in microseconds.
pub(super) fn synchronise(folder: &Path, lasts: Duration) -> anyhow::Result<(f64, f64)> {
    let mut file = File::create(folder.join("synchronised"))?;
    let mut took = Vec::new();
    let since = Instant::now();
    while since.elapsed() < lasts {
        let one = Instant::now();
        file.write_all(&[7; super::PAYLOAD])?;
        file.sync_data()?;
        took.push(micros(one.elapsed()));
    }
    Ok((took.len() as f64 / since.elapsed().as_secs_f64(), median(took)))
}
