//! SQLite: the file's journal mode, what became of `synchronous`, and how far the
//! write-ahead log has grown.

use super::{
    Finding,
    connection::{Connection, path},
};
use crate::Error;

/// Stores cut their log back to 16 MB. Four times that is one that nobody could
/// cut back for a while, since a reader holds on to an old state.
const LARGE_WAL_BYTES: u64 = 64 * 1024 * 1024;

pub(super) async fn examine(connection: &mut Connection, url: &str) -> Result<Vec<Finding>, Error> {
    let journal = connection.text("PRAGMA journal_mode").await?;
    let synchronous = connection.number("PRAGMA synchronous").await?;
    let page = connection.number("PRAGMA page_size").await?;
    let pages = connection.number("PRAGMA page_count").await?;
    let wal = std::fs::metadata(format!("{}-wal", path(url).unwrap_or_default()));
    let wal = wal.map_or(0, |metadata| metadata.len());
    Ok(vec![
        journal_mode(journal),
        judge_synchronous(synchronous),
        Finding::good("size", format!("{pages} pages of {page} bytes")),
        wal_size(wal),
    ])
}

fn journal_mode(found: String) -> Finding {
    if found == "wal" {
        return Finding::good("journal_mode", found);
    }
    let advice = "the next start of its service sets it to wal, or refuses a file system that \
                  cannot; if it does not stay so, another program changes it";
    Finding::dangerous("journal_mode", found, advice)
}

fn judge_synchronous(found: i64) -> Finding {
    let name = match found {
        0 => "off",
        1 => "normal",
        2 => "full",
        _ => "extra",
    };
    if found >= 2 {
        return Finding::good("synchronous", name);
    }
    let advice = "full was asked for: this build of SQLite does not obey, use another";
    Finding::dangerous("synchronous", name, advice)
}

fn wal_size(bytes: u64) -> Finding {
    let found = format!("{bytes} bytes");
    if bytes <= LARGE_WAL_BYTES {
        return Finding::good("wal", found);
    }
    let advice = "some process has been reading for long; find and end it, or the file grows on";
    Finding::doubtful("wal", found, advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn only_a_journal_that_survives_the_power_is_good() {
        assert_eq!(journal_mode("wal".into()).verdict, Verdict::Good);
        for mode in ["delete", "memory", "off"] {
            assert_eq!(journal_mode(mode.into()).verdict, Verdict::Unsafe, "{mode}");
        }
        let verdicts = [0, 1, 2, 3].map(|level| judge_synchronous(level).verdict);
        assert_eq!(verdicts, [Verdict::Unsafe, Verdict::Unsafe, Verdict::Good, Verdict::Good]);
    }

    #[test]
    fn a_log_that_nobody_cuts_back_is_worth_knowing() {
        assert_eq!(wal_size(LARGE_WAL_BYTES).verdict, Verdict::Good);
        assert_eq!(wal_size(LARGE_WAL_BYTES + 1).verdict, Verdict::Doubtful);
    }
}
