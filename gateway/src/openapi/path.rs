//! Path templates as OpenAPI writes paths, where a parameter is one segment:
//! `/v1/{name=projects/*}:archive` is `/v1/projects/{project}:archive`.

use std::collections::{BTreeMap, HashMap};

use transcode::template::{Segment, Template};

/// A path and its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathText {
    pub(super) text: String,
    pub(super) parameters: Vec<Parameter>,
}

/// A parameter of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: String,
    /// Index of the template's variable that it is a part of.
    pub(super) variable: Option<usize>,
    /// Which of the variable's segments it is.
    pub(super) place: usize,
    /// Whether it stands for the rest of the path.
    pub(super) rest: bool,
}

/// All paths so far. Two templates for the same requests must be written with
/// the same parameter names, or they would be two paths that no request tells
/// apart.
#[derive(Debug, Default)]
pub(super) struct Paths(HashMap<String, Vec<String>>);

impl Paths {
    pub(super) fn write(&mut self, template: &Template) -> PathText {
        let shape = shape(template);
        let names = self.0.entry(shape).or_insert_with(|| names(template));
        let mut names = names.iter();
        let mut text = String::new();
        let mut parameters = Vec::new();
        for (at, segment) in template.segments().iter().enumerate() {
            text.push('/');
            match segment {
                Segment::Literal(literal) => text.push_str(literal),
                Segment::Star | Segment::Rest => {
                    let name = names.next().expect("every wildcard was given a name").clone();
                    text.push_str(&format!("{{{name}}}"));
                    let variable = variable_at(template, at);
                    let begin = variable.map(|index| template.variables()[index].segments.start);
                    let place = at - begin.unwrap_or(at);
                    let rest = *segment == Segment::Rest;
                    parameters.push(Parameter { name, variable, place, rest });
                }
            }
        }
        if text.is_empty() {
            text.push('/');
        }
        if let Some(verb) = template.verb() {
            text.push_str(&format!(":{verb}"));
        }
        PathText { text, parameters }
    }
}

fn shape(template: &Template) -> String {
    let segments = template.segments().iter().map(|segment| match segment {
        Segment::Literal(literal) => literal,
        Segment::Star => "*",
        Segment::Rest => "**",
    });
    segments.collect::<Vec<_>>().join("/")
}

fn variable_at(template: &Template, at: usize) -> Option<usize> {
    template.variables().iter().position(|variable| variable.segments.contains(&at))
}

/// A wildcard behind a collection is one of the collection (AIP-122); another one
/// has the name of its field.
fn names(template: &Template) -> Vec<String> {
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    let mut names = Vec::new();
    for (at, segment) in template.segments().iter().enumerate() {
        if matches!(segment, Segment::Literal(_)) {
            continue;
        }
        let variable = variable_at(template, at).map(|index| &template.variables()[index]);
        let collection = at.checked_sub(1).and_then(|before| match &template.segments()[before] {
            Segment::Literal(literal) if *segment == Segment::Star => Some(literal),
            _ => None,
        });
        let within = variable.is_some_and(|variable| variable.segments.len() > 1);
        let name = match (collection, variable) {
            (Some(collection), _) if within => singular(collection),
            (_, Some(variable)) => variable.field.rsplit('.').next().unwrap_or_default().to_owned(),
            (Some(collection), None) => singular(collection),
            (None, None) => "segment".to_owned(),
        };
        let count = used.entry(name.clone()).or_default();
        *count += 1;
        names.push(if *count == 1 { name } else { format!("{name}{count}") });
    }
    names
}

/// English enough for the names of collections; any name would do.
fn singular(plural: &str) -> String {
    if let Some(stem) = plural.strip_suffix("ies").filter(|stem| !stem.is_empty()) {
        return format!("{stem}y");
    }
    for ending in ["ches", "shes", "sses", "xes"] {
        if plural.ends_with(ending) {
            return plural[..plural.len() - 2].to_owned();
        }
    }
    match plural.strip_suffix("ves").filter(|stem| stem.len() > 1) {
        Some(stem) => format!("{stem}f"),
        None => plural.strip_suffix('s').unwrap_or(plural).to_owned(),
    }
}

/// What one segment of a value must look like, when the pattern of the whole says
/// it for each: of `^projects/[a-z0-9-]{1,63}$`, segment 1 is `^[a-z0-9-]{1,63}$`.
pub(super) fn segment_pattern(whole: &str, place: usize) -> Option<String> {
    let inner = whole.strip_prefix('^')?.strip_suffix('$')?;
    let mut segments = vec![String::new()];
    let (mut class, mut escaped) = (false, false);
    for character in inner.chars() {
        match character {
            // An alternative or a group may reach over several segments.
            '|' | '(' | ')' if !class && !escaped => return None,
            '/' if !class && !escaped => {
                segments.push(String::new());
                continue;
            }
            '[' if !escaped => class = true,
            ']' if !escaped => class = false,
            _ => {}
        }
        escaped = character == '\\' && !escaped;
        segments.last_mut().expect("there is one at least").push(character);
    }
    segments.get(place).map(|segment| format!("^{segment}$"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_named_for_its_collection_or_its_field() {
        let cases = [
            ("/v1/{name=projects/*}", "/v1/projects/{project}"),
            ("/v1/{name=projects/*}:archive", "/v1/projects/{project}:archive"),
            ("/v1/{project.name=projects/*}", "/v1/projects/{project}"),
            ("/v1/{n=shelves/*/books/*}", "/v1/shelves/{shelf}/books/{book}"),
            ("/v1/{n=nodes/*/nodes/*}", "/v1/nodes/{node}/nodes/{node2}"),
            ("/v1/{parent=boxes/*}/entries", "/v1/boxes/{box}/entries"),
            ("/v1/books/{book_id}", "/v1/books/{book_id}"),
            ("/files/{path=**}", "/files/{path}"),
            ("/files/*", "/files/{file}"),
            ("/{a}/{b.a}", "/{a}/{a2}"),
            ("/v1/sessions:refresh", "/v1/sessions:refresh"),
            ("/", "/"),
        ];
        for (template, expected) in cases {
            let written = Paths::default().write(&Template::parse(template).unwrap());
            assert_eq!(written.text, expected, "{template}");
        }
    }

    #[test]
    fn a_pattern_of_the_whole_is_one_of_each_segment() {
        for (whole, place, expected) in [
            ("^projects/[a-z0-9-]{1,63}$", 1, Some("^[a-z0-9-]{1,63}$")),
            ("^projects/[a-z]+/submissions/[0-9/]+$", 3, Some("^[0-9/]+$")),
            ("^[^/]+/a\\/b$", 1, Some("^a\\/b$")),
            ("^users/(me|[a-z]+)$", 1, None),
            ("^a|b/c$", 1, None),
            ("projects/[a-z]+", 1, None),
            ("^projects$", 1, None),
        ] {
            assert_eq!(segment_pattern(whole, place).as_deref(), expected, "{whole}");
        }
    }

    #[test]
    fn equal_shapes_have_equal_texts() {
        let mut paths = Paths::default();
        let first = paths.write(&Template::parse("/v1/{name=books/*}").unwrap());
        let second = paths.write(&Template::parse("/v1/books/{id}").unwrap());
        assert_eq!(first.text, second.text);
        assert_eq!(second.parameters[0].variable, Some(0));
    }
}
