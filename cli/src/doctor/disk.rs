//! The disk below an SQLite database: room, the kind of file system, and whether
//! a flush takes as long as one must.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use durable::doctor::Finding;
use rustix::fs::{StatFs, statfs};

/// A full disk loses nothing, but nothing can be done any more; this is a minute
/// of a busy log.
const LITTLE_BYTES: u64 = 100 * 1024 * 1024;
/// Time to act.
const SCARCE_BYTES: u64 = 1024 * 1024 * 1024;
/// No disk, however fast, is that fast: somebody does not pass the flush on.
const TOO_FAST: Duration = Duration::from_micros(5);
/// A quarter of the time between two beats of a worker, which are commits.
const TOO_SLOW: Duration = Duration::from_millis(100);
/// The median of so many is not moved by one that waited for somebody else's.
const FLUSHES: usize = 9;

/// Looks at the folder of a database. Writes and removes one small file there.
pub(super) fn examine(folder: &Path) -> anyhow::Result<[Finding; 3]> {
    let about = statfs(folder).with_context(|| folder.display().to_string())?;
    let flush = flush(folder).with_context(|| format!("cannot write in {}", folder.display()))?;
    Ok([room(free(&about)), file_system(kind(&about)), judge_flush(flush)])
}

fn free(about: &StatFs) -> u64 {
    let block = u64::try_from(about.f_bsize).unwrap_or_default();
    about.f_bavail.saturating_mul(block)
}

fn room(bytes: u64) -> Finding {
    let found = format!("{} MiB free", bytes / (1024 * 1024));
    if bytes < LITTLE_BYTES {
        return Finding::dangerous("disk", found, "make room: every write fails when it is full");
    }
    if bytes < SCARCE_BYTES {
        return Finding::doubtful("disk", found, "make room before it is needed");
    }
    Finding::good("disk", found)
}

/// File systems that change what a flush means (Linux, `statfs(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Memory,
    Network,
    Overlay,
    Disk,
}

fn kind(about: &StatFs) -> Kind {
    // The type's width differs between architectures, the numbers do not.
    match u64::try_from(about.f_type).unwrap_or_default() & 0xffff_ffff {
        // tmpfs, ramfs
        0x0102_1994 | 0x8584_58f6 => Kind::Memory,
        // NFS, SMB, SMB2, CIFS, Ceph, 9p, AFS
        0x6969 | 0x517b | 0xfe53_4d42 | 0xff53_4d42 | 0x00c3_6400 | 0x0102_1997 | 0x5346_414f => {
            Kind::Network
        }
        0x794c_7630 => Kind::Overlay,
        _ => Kind::Disk,
    }
}

fn file_system(kind: Kind) -> Finding {
    match kind {
        Kind::Memory => Finding::dangerous(
            "file_system",
            "memory",
            "put the database on a disk: this ends with the machine's power",
        ),
        Kind::Network => Finding::dangerous(
            "file_system",
            "network",
            "put the database on a disk of this machine, or use PostgreSQL: SQLite's log needs \
             memory that all its processes share",
        ),
        Kind::Overlay => Finding::doubtful(
            "file_system",
            "overlay",
            "put the database on a volume: this ends with the container",
        ),
        Kind::Disk => Finding::good("file_system", "disk"),
    }
}

/// What a flush of one page takes, as the median of several.
fn flush(folder: &Path) -> io::Result<Duration> {
    let path = folder.join(format!(".titan-doctor-{}", std::process::id()));
    let mut file = OpenOptions::new().create_new(true).write(true).open(&path)?;
    let mut times = Vec::with_capacity(FLUSHES);
    let flushed = (0..FLUSHES).try_for_each(|_| {
        file.write_all(&[0; 4096])?;
        let begin = Instant::now();
        file.sync_data()?;
        times.push(begin.elapsed());
        Ok(())
    });
    fs::remove_file(&path)?;
    flushed.map(|()| {
        times.sort();
        times[FLUSHES / 2]
    })
}

fn judge_flush(took: Duration) -> Finding {
    let found = format!("{:.3} ms", took.as_secs_f64() * 1_000.0);
    if took < TOO_FAST {
        let advice = "find out who answers flushes without doing them: a wrapper such as \
                      eatmydata, or a mount or a virtual disk that ignores them";
        return Finding::dangerous("flush", found, advice);
    }
    if took > TOO_SLOW {
        let advice = "use a faster disk: workers that cannot commit in time lose their tasks";
        return Finding::doubtful("flush", found, advice);
    }
    Finding::good("flush", found)
}

#[cfg(test)]
mod tests {
    use durable::doctor::Verdict;

    use super::*;

    #[test]
    fn what_a_flush_means_depends_on_what_is_below() {
        let verdicts = [Kind::Disk, Kind::Overlay, Kind::Memory, Kind::Network];
        let verdicts = verdicts.map(|kind| file_system(kind).verdict);
        let (good, doubtful) = (Verdict::Good, Verdict::Doubtful);
        assert_eq!(verdicts, [good, doubtful, Verdict::Unsafe, Verdict::Unsafe]);
    }

    #[test]
    fn a_flush_that_takes_no_time_is_none() {
        assert_eq!(judge_flush(Duration::from_micros(4)).verdict, Verdict::Unsafe);
        assert_eq!(judge_flush(Duration::from_micros(20)).verdict, Verdict::Good);
        assert_eq!(judge_flush(Duration::from_millis(101)).verdict, Verdict::Doubtful);
    }

    #[test]
    fn a_disk_that_is_almost_full_is_told_of_before_it_is() {
        assert_eq!(room(SCARCE_BYTES).verdict, Verdict::Good);
        assert_eq!(room(LITTLE_BYTES).verdict, Verdict::Doubtful);
        assert_eq!(room(LITTLE_BYTES - 1).verdict, Verdict::Unsafe);
    }

    #[test]
    fn the_doctor_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        examine(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
