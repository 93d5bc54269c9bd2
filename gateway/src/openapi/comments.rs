//! The comments of a contract, by the place of what they describe.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor};

/// Comments of all files; empty for a file that came without them.
pub(super) struct Comments(HashMap<String, HashMap<Vec<i32>, String>>);

impl Comments {
    pub(super) fn new(pool: &DescriptorPool) -> Comments {
        let files = pool.files().map(|file| (file.name().to_owned(), of_file(&file)));
        Comments(files.collect())
    }

    /// The comment before a definition, without its indentation.
    pub(super) fn of(&self, file: &FileDescriptor, path: &[i32]) -> Option<String> {
        self.0.get(file.name())?.get(path).cloned()
    }
}

fn of_file(file: &FileDescriptor) -> HashMap<Vec<i32>, String> {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = info.map(|info| info.location.as_slice()).unwrap_or_default();
    locations
        .iter()
        .filter_map(|location| {
            let text = location.leading_comments.as_deref()?;
            let lines: Vec<&str> =
                text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
            Some((location.path.clone(), lines.join("\n").trim().to_owned()))
        })
        .filter(|(_, text)| !text.is_empty())
        .collect()
}
