//! Where a database is, by its URL: the one place that reads it.

use crate::Error;

/// A parameter of a PostgreSQL URL that is ours and not the server's: checks whose
/// findings somebody can live with, by their names.
const ACCEPTS: &str = "allow_unsafe=";

/// What a URL leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location<'a> {
    /// A file.
    Sqlite(&'a str),
    /// A server, which reads the URL itself.
    Postgres {
        /// Without what is ours.
        url: String,
        /// Settings that may lose acknowledged writes, and are accepted.
        accepted: Vec<&'a str>,
    },
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
            return Ok(Self::postgres(url));
        }
        let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
        Err(Error::Url(scheme.to_owned()))
    }

    fn postgres(url: &'a str) -> Self {
        let (server, query) = url.split_once('?').unwrap_or((url, ""));
        let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
        let (ours, theirs): (Vec<&str>, Vec<&str>) =
            parameters.partition(|parameter| parameter.starts_with(ACCEPTS));
        let accepted = ours.iter().flat_map(|ours| ours[ACCEPTS.len()..].split(',')).collect();
        let mut url = server.to_owned();
        if !theirs.is_empty() {
            url = format!("{url}?{}", theirs.join("&"));
        }
        Self::Postgres { url, accepted }
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
        assert!(
            matches!(Location::of("mysql://a:secret@h"), Err(Error::Url(scheme)) if scheme == "mysql")
        );
    }

    #[test]
    fn what_is_accepted_is_not_the_servers_to_know() {
        let cases: [(&str, &str, &[&str]); 5] = [
            ("postgresql://h/d", "postgresql://h/d", &[]),
            ("postgres://h/d?host=/tmp", "postgres://h/d?host=/tmp", &[]),
            ("postgres://h/d?allow_unsafe=fsync", "postgres://h/d", &["fsync"]),
            (
                "postgres://h/d?a=b&allow_unsafe=fsync,full_page_writes&c=d",
                "postgres://h/d?a=b&c=d",
                &["fsync", "full_page_writes"],
            ),
            ("postgres://h/d?allow_unsafe=a&allow_unsafe=b", "postgres://h/d", &["a", "b"]),
        ];
        for (given, url, accepted) in cases {
            let (url, accepted) = (url.to_owned(), accepted.to_vec());
            assert_eq!(Location::of(given).unwrap(), Location::Postgres { url, accepted });
        }
    }
}
