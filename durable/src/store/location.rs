//! Where a database is, by its URL: the one place that reads it.

use crate::Error;

/// What a URL leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Location<'a> {
    /// A file.
    Sqlite(&'a str),
    /// A server, which reads the URL itself.
    Postgres(&'a str),
}

impl<'a> Location<'a> {
    /// Reads `sqlite:path`, `sqlite://path` or `postgres://…`.
    ///
    /// # Errors
    /// [`Error::Url`] with the scheme alone: the rest may hold a password.
    pub(crate) fn of(url: &'a str) -> Result<Self, Error> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(path.strip_prefix("//").unwrap_or(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Postgres(url));
        }
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        Err(Error::Url(scheme.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_file_or_a_server_and_a_refusal_tells_no_password() {
        let file = Location::Sqlite("/data/a.db");
        assert!(
            ["sqlite:/data/a.db", "sqlite:///data/a.db"]
                .map(|url| Location::of(url).unwrap() == file)
                == [true; 2]
        );
        assert!(matches!(
            Location::of("postgresql://h/d"),
            Ok(Location::Postgres("postgresql://h/d"))
        ));
        assert!(
            matches!(Location::of("mysql://a:secret@h"), Err(Error::Url(scheme)) if scheme == "mysql")
        );
    }
}
