//! Update masks (AIP-134, AIP-161): which fields of a resource an update changes.

use prost_types::FieldMask;

use crate::status::{Violation, field};

/// What an update changes: the fields that its mask names, all of them for `*`,
/// and without a mask those that are populated.
#[derive(Debug)]
pub struct Mask<'m> {
    paths: Vec<&'m str>,
}

impl<'m> Mask<'m> {
    /// Reads the mask of an update of a resource whose `fields` can be changed.
    /// Every other path is told as a violation of `update_mask`, but `name` and
    /// `etag`, which say what is meant and are no change: a client may mask all
    /// that it sends.
    #[must_use]
    pub fn read(mask: Option<&'m FieldMask>, fields: &[&str]) -> (Self, Vec<Violation>) {
        let paths: Vec<&str> =
            mask.into_iter().flat_map(|mask| &mask.paths).map(String::as_str).collect();
        let known = |path: &&str| fields.contains(path) || ["*", "name", "etag"].contains(path);
        let problem = |path: &str| {
            let text = format!("`{path}` cannot be changed; {} can", fields.join(", "));
            field("update_mask", "field_mask.in", text)
        };
        let unknown = paths.iter().filter(|path| !known(path)).map(|path| problem(path)).collect();
        (Self { paths }, unknown)
    }

    /// The new value of a field; `None` when it stays as it is.
    pub fn pick<T: Default + PartialEq>(&self, field: &str, value: T) -> Option<T> {
        let picked = match self.paths.as_slice() {
            [] => value != T::default(),
            paths => paths.contains(&"*") || paths.contains(&field),
        };
        picked.then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(paths: &[&str]) -> FieldMask {
        FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }
    }

    #[test]
    fn a_mask_picks_what_it_names_and_none_picks_what_is_populated() {
        for (paths, title, note) in [
            (&["title"][..], Some("new"), None),
            (&["note"], None, Some("")),
            (&["title", "note"], Some("new"), Some("")),
            (&["*"], Some("new"), Some("")),
            (&["name", "etag"], None, None),
            (&[], Some("new"), None),
        ] {
            let given = mask(paths);
            let (mask, violations) = Mask::read(Some(&given), &["title", "note"]);
            assert_eq!(violations, []);
            assert_eq!(
                (mask.pick("title", "new"), mask.pick("note", "")),
                (title, note),
                "{paths:?}"
            );
        }
        assert_eq!(Mask::read(None, &["title"]).0.pick("title", "new"), Some("new"));
    }

    #[test]
    fn every_path_that_cannot_be_changed_is_told() {
        let given = mask(&["title", "owner", "Title", "title.text"]);
        let (_, violations) = Mask::read(Some(&given), &["title"]);
        let told: Vec<&str> = violations.iter().map(|violation| &*violation.description).collect();
        assert_eq!(told.len(), 3);
        assert!(told[0].contains("owner") && told[1].contains("Title"), "{told:?}");
        assert!(violations.iter().all(|violation| violation.field == "update_mask"));
    }
}
