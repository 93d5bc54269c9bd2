//! The comments of a contract, by the place of what they describe, and the
//! example that a comment may end in: a last line ``Example: `shelves/1` ``.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor};

/// Comments of all files; empty for a file that came without them.
pub(super) struct Comments(HashMap<String, HashMap<Vec<i32>, Comment>>);

/// What is said about a definition; one of both may be empty.
#[derive(Debug, Default, PartialEq, Eq)]
struct Comment {
    text: String,
    example: String,
}

impl Comments {
    pub(super) fn new(pool: &DescriptorPool) -> Comments {
        let files = pool.files().map(|file| (file.name().to_owned(), of_file(&file)));
        Comments(files.collect())
    }

    /// The comment before a definition, without its indentation and its example.
    pub(super) fn of(&self, file: &FileDescriptor, path: &[i32]) -> Option<String> {
        let text = &self.comment(file, path)?.text;
        (!text.is_empty()).then(|| text.clone())
    }

    /// The example in the comment before a definition, as it stands there.
    pub(super) fn example(&self, file: &FileDescriptor, path: &[i32]) -> Option<&str> {
        let example = self.comment(file, path)?.example.as_str();
        (!example.is_empty()).then_some(example)
    }

    fn comment(&self, file: &FileDescriptor, path: &[i32]) -> Option<&Comment> {
        self.0.get(file.name())?.get(path)
    }
}

fn of_file(file: &FileDescriptor) -> HashMap<Vec<i32>, Comment> {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let locations = info.map(|info| info.location.as_slice()).unwrap_or_default();
    let leading = locations.iter().filter_map(|location| {
        Some((location.path.clone(), parse(location.leading_comments.as_deref()?)))
    });
    leading.collect()
}

fn parse(comment: &str) -> Comment {
    let lines = comment.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
    let text = lines.collect::<Vec<_>>().join("\n");
    let text = text.trim();
    let (before, last) = text.rsplit_once('\n').unwrap_or(("", text));
    match example(last) {
        Some(example) => Comment { text: before.trim().to_owned(), example: example.to_owned() },
        None => Comment { text: text.to_owned(), example: String::new() },
    }
}

fn example(line: &str) -> Option<&str> {
    let quoted = line.trim().strip_prefix("Example:")?.trim().trim_end_matches('.');
    quoted.strip_prefix('`')?.strip_suffix('`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_the_last_line_between_backticks() {
        let cases = [
            (" What it is.\n Example: `shelves/1`.\n", "What it is.", "shelves/1"),
            ("Example: `{\"a\": 1}`", "", "{\"a\": 1}"),
            (" Of two\n lines.\n\n Example: `a`", "Of two\nlines.", "a"),
            (" Example: without quotes", "Example: without quotes", ""),
            (" Example: `first`\n Then more.", "Example: `first`\nThen more.", ""),
            ("\n", "", ""),
        ];
        for (comment, text, example) in cases {
            let expected = Comment { text: text.to_owned(), example: example.to_owned() };
            assert_eq!(parse(comment), expected, "{comment:?}");
        }
    }
}
