//! Finds the rule for a method and a path. Literal before `*` before `**`, and a
//! node that knows the path but not the method does not end the search: only
//! when no node knows the method either is the answer "method not allowed".

use std::collections::{BTreeSet, HashMap};

use http::Method;

use super::{
    path::{self, Path},
    template::{Segment, Template, upper_escapes},
};

/// The HTTP method of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// One method, which may be a custom one.
    Exact(Method),
    /// The custom kind `*`: any method that no other rule of the path names.
    Any,
}

impl std::fmt::Display for Verb {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Verb::Exact(method) => method.fmt(formatter),
            Verb::Any => formatter.write_str("*"),
        }
    }
}

/// What a lookup finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The rule with this index. `verb` tells whether the path's last colon was
    /// taken for a verb's.
    Found {
        /// Index given to [`Tree::insert`].
        rule: usize,
        /// Whether the last segment ends in the rule's verb.
        verb: bool,
    },
    /// Rules for this path exist, for these methods only.
    NotAllowed(Vec<Method>),
    /// No rule knows the path.
    NotFound,
}

/// A tree of rules.
#[derive(Debug, Default)]
pub struct Tree {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    star: Option<Box<Node>>,
    rest: Leaf,
    leaf: Leaf,
}

#[derive(Debug, Default)]
struct Leaf {
    plain: Methods,
    verbs: Vec<(String, Methods)>,
}

#[derive(Debug, Default)]
struct Methods {
    exact: Vec<(Method, usize)>,
    any: Option<usize>,
}

impl Tree {
    /// Adds a rule.
    ///
    /// # Errors
    /// The index of the rule that already answers to the same method and the
    /// same paths, whatever its variables are called.
    pub fn insert(&mut self, method: &Verb, template: &Template, rule: usize) -> Result<(), usize> {
        let mut node = &mut self.root;
        let mut leaf = None;
        for segment in &template.segments {
            match segment {
                Segment::Literal(text) => node = node.literals.entry(text.clone()).or_default(),
                Segment::Star => node = node.star.get_or_insert_default(),
                Segment::Rest => leaf = Some(()),
            }
        }
        let leaf = if leaf.is_some() { &mut node.rest } else { &mut node.leaf };
        leaf.methods(template.verb.as_deref()).insert(method, rule)
    }

    /// Finds the rule for a request.
    #[must_use]
    pub fn find(&self, method: &Method, path: &Path<'_>) -> Lookup {
        let mut search = Search { segments: path.segments(), method, allowed: BTreeSet::new() };
        match self.root.find(&mut search, 0) {
            Some((rule, verb)) => Lookup::Found { rule, verb },
            None if search.allowed.is_empty() => Lookup::NotFound,
            None => Lookup::NotAllowed(
                search.allowed.iter().filter_map(|name| name.parse().ok()).collect(),
            ),
        }
    }
}

/// The values of a template's variables in a path that it matched, decoded, in
/// the order of [`Template::variables`].
#[must_use]
pub fn capture(template: &Template, path: &Path<'_>, verb: bool) -> Vec<String> {
    let mut segments = path.segments().to_vec();
    if verb && let Some(last) = segments.last_mut() {
        *last = split_verb(last).map_or(*last, |(base, _)| base);
    }
    let variables = template.variables.iter();
    variables
        .map(|variable| {
            let to_the_end =
                template.segments.get(variable.segments.end - 1) == Some(&Segment::Rest);
            let end = if to_the_end { segments.len() } else { variable.segments.end };
            let captured = segments[variable.segments.start..end].join("/");
            if template.is_single(variable) {
                path::decode_single(&captured)
            } else {
                path::decode_multi(&captured)
            }
        })
        .collect()
}

struct Search<'a> {
    segments: &'a [&'a str],
    method: &'a Method,
    allowed: BTreeSet<String>,
}

type Hit = Option<(usize, bool)>;

impl Node {
    /// Every node is visited at most once, since its depth is its place in the
    /// path; backtracking therefore costs no more than the tree has nodes.
    fn find(&self, search: &mut Search<'_>, at: usize) -> Hit {
        let Some(segment) = search.segments.get(at) else {
            return self.finish(search, None);
        };
        let last = at + 1 == search.segments.len();
        self.find_literal(search, at, segment, last)
            .or_else(|| self.find_star(search, at, segment, last))
            .or_else(|| self.find_rest(search, at))
    }

    fn find_literal(&self, search: &mut Search<'_>, at: usize, segment: &str, last: bool) -> Hit {
        if last
            && let Some((base, verb)) = split_verb(segment)
            && let Some(node) = self.literals.get(upper_escapes(base).as_ref())
            && let Some(hit) = node.finish(search, Some(verb))
        {
            return Some(hit);
        }
        self.literals.get(upper_escapes(segment).as_ref())?.find(search, at + 1)
    }

    fn find_star(&self, search: &mut Search<'_>, at: usize, segment: &str, last: bool) -> Hit {
        let node = self.star.as_deref()?;
        if last && let Some((base, verb)) = split_verb(segment) {
            // Where a rule has this verb the colon is its; elsewhere it is data.
            if node.leaf.has_verb(verb) || node.rest.has_verb(verb) {
                return if base.is_empty() { None } else { node.finish(search, Some(verb)) };
            }
        }
        if segment.is_empty() { None } else { node.find(search, at + 1) }
    }

    fn find_rest(&self, search: &mut Search<'_>, at: usize) -> Hit {
        let (last, others) = search.segments[at..].split_last()?;
        if others.iter().any(|segment| segment.is_empty()) {
            return None;
        }
        if let Some((base, verb)) = split_verb(last)
            && self.rest.has_verb(verb)
        {
            return if base.is_empty() { None } else { self.rest.get(search, Some(verb)) };
        }
        if last.is_empty() { None } else { self.rest.get(search, None) }
    }

    /// The path ends at this node; `**` matches nothing at all, too.
    fn finish(&self, search: &mut Search<'_>, verb: Option<&str>) -> Hit {
        self.leaf.get(search, verb).or_else(|| self.rest.get(search, verb))
    }
}

impl Leaf {
    fn methods(&mut self, verb: Option<&str>) -> &mut Methods {
        let Some(verb) = verb else { return &mut self.plain };
        let at = self.verbs.iter().position(|(name, _)| name == verb).unwrap_or_else(|| {
            self.verbs.push((verb.to_owned(), Methods::default()));
            self.verbs.len() - 1
        });
        &mut self.verbs[at].1
    }

    fn has_verb(&self, verb: &str) -> bool {
        let verb = upper_escapes(verb);
        self.verbs.iter().any(|(name, _)| *name == verb)
    }

    fn get(&self, search: &mut Search<'_>, verb: Option<&str>) -> Hit {
        let methods = match verb {
            None => &self.plain,
            Some(verb) => {
                let verb = upper_escapes(verb);
                &self.verbs.iter().find(|(name, _)| *name == verb)?.1
            }
        };
        let found = methods.get(search.method);
        if found.is_none() {
            methods.note(&mut search.allowed);
        }
        found.map(|rule| (rule, verb.is_some()))
    }
}

impl Methods {
    fn insert(&mut self, method: &Verb, rule: usize) -> Result<(), usize> {
        match method {
            Verb::Any => match self.any {
                Some(earlier) => return Err(earlier),
                None => self.any = Some(rule),
            },
            Verb::Exact(method) => {
                if let Some((_, earlier)) = self.exact.iter().find(|(name, _)| name == method) {
                    return Err(*earlier);
                }
                self.exact.push((method.clone(), rule));
            }
        }
        Ok(())
    }

    /// HEAD is answered by the rule for GET (RFC 9110 §9.3.2).
    fn get(&self, method: &Method) -> Option<usize> {
        let exact = |wanted: &Method| {
            self.exact.iter().find(|(name, _)| name == wanted).map(|(_, rule)| *rule)
        };
        let head = || if method == Method::HEAD { exact(&Method::GET) } else { None };
        exact(method).or_else(head).or(self.any)
    }

    fn note(&self, allowed: &mut BTreeSet<String>) {
        for (method, _) in &self.exact {
            allowed.insert(method.to_string());
            if method == Method::GET {
                allowed.insert(Method::HEAD.to_string());
            }
        }
        if !self.exact.is_empty() {
            allowed.insert(Method::OPTIONS.to_string());
        }
    }
}

fn split_verb(segment: &str) -> Option<(&str, &str)> {
    segment.rsplit_once(':').filter(|(_, verb)| !verb.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: [(&str, &str); 16] = [
        ("GET", "/v1/{name=shelves/*}"),
        ("DELETE", "/v1/{name=shelves/*}"),
        ("GET", "/v1/shelves"),
        ("POST", "/v1/shelves"),
        ("POST", "/v1/{name=shelves/*}:archive"),
        ("GET", "/v1/shelves/special"),
        ("PUT", "/v1/{name=shelves/*/books/**}"),
        ("GET", "/v1/{name=shelves/*/books/*}"),
        ("POST", "/v1/sessions:refresh"),
        ("GET", "/v1/{any}"),
        ("GET", "/files/{path=**}"),
        ("POST", "/files/{path=**}:read"),
        ("*", "/any/{id}"),
        ("LINK", "/v1/{name=shelves/*}"),
        ("GET", "/v1/a%20b/{id}"),
        ("PATCH", "/v1/{shelf.name=shelves/*}"),
    ];

    fn tree() -> (Tree, Vec<Template>) {
        let mut tree = Tree::default();
        let mut templates = Vec::new();
        for (at, (method, template)) in RULES.iter().enumerate() {
            let template = Template::parse(template).unwrap();
            let verb = match *method {
                "*" => Verb::Any,
                name => Verb::Exact(name.parse().unwrap()),
            };
            tree.insert(&verb, &template, at).unwrap();
            templates.push(template);
        }
        (tree, templates)
    }

    fn find(method: &str, raw: &str) -> (Lookup, Vec<String>) {
        let (tree, templates) = tree();
        let path = Path::parse(raw).unwrap();
        let lookup = tree.find(&method.parse().unwrap(), &path);
        let captured = match lookup {
            Lookup::Found { rule, verb } => capture(&templates[rule], &path, verb),
            _ => Vec::new(),
        };
        (lookup, captured)
    }

    #[test]
    fn requests_find_their_rule_and_its_variables() {
        let cases: [(&str, &str, usize, &[&str]); 26] = [
            ("GET", "/v1/shelves/1", 0, &["shelves/1"]),
            ("HEAD", "/v1/shelves/1", 0, &["shelves/1"]),
            ("DELETE", "/v1/shelves/1", 1, &["shelves/1"]),
            ("PATCH", "/v1/shelves/1", 15, &["shelves/1"]),
            ("LINK", "/v1/shelves/1", 13, &["shelves/1"]),
            ("GET", "/v1/shelves", 2, &[]),
            ("POST", "/v1/shelves", 3, &[]),
            ("POST", "/v1/shelves/1:archive", 4, &["shelves/1"]),
            ("POST", "/v1/shelves/a:b:archive", 4, &["shelves/a:b"]),
            // A colon whose verb no rule of the node has is data.
            ("GET", "/v1/shelves/1:other", 0, &["shelves/1:other"]),
            ("GET", "/v1/shelves/special", 5, &[]),
            // The literal does not know DELETE, the wildcard beside it does.
            ("DELETE", "/v1/shelves/special", 1, &["shelves/special"]),
            ("GET", "/v1/shelves/1/books/2", 7, &["shelves/1/books/2"]),
            ("PUT", "/v1/shelves/1/books/2", 6, &["shelves/1/books/2"]),
            ("PUT", "/v1/shelves/1/books", 6, &["shelves/1/books"]),
            ("PUT", "/v1/shelves/1/books/2/3", 6, &["shelves/1/books/2/3"]),
            ("POST", "/v1/sessions:refresh", 8, &[]),
            // That rule's node does not know GET; one segment with a colon is data.
            ("GET", "/v1/sessions:refresh", 9, &["sessions:refresh"]),
            ("GET", "/v1/a%2Fb", 9, &["a/b"]),
            ("GET", "/v1/shelves/a%2Fb", 0, &["shelves/a%2Fb"]),
            ("GET", "/files", 10, &[""]),
            ("GET", "/files/a/b%20c", 10, &["a/b c"]),
            ("POST", "/files/a/b:read", 11, &["a/b"]),
            ("DELETE", "/any/7", 12, &["7"]),
            ("GET", "/v1/a%20b/7", 14, &["7"]),
            ("GET", "/v1/shelves/%3A", 0, &["shelves/:"]),
        ];
        for (method, raw, rule, captured) in cases {
            let (lookup, values) = find(method, raw);
            match lookup {
                Lookup::Found { rule: found, .. } => {
                    assert_eq!(found, rule, "{method} {raw}");
                }
                other => panic!("{method} {raw}: {other:?}"),
            }
            assert_eq!(values, captured, "{method} {raw}");
        }
    }

    #[test]
    fn a_known_path_with_another_method_names_the_methods_it_has() {
        let cases: [(&str, &str, &[&str]); 4] = [
            ("PUT", "/v1/shelves", &["GET", "HEAD", "OPTIONS", "POST"]),
            ("GET", "/v1/shelves/1:archive", &["OPTIONS", "POST"]),
            ("POST", "/v1/shelves/special", &["DELETE", "GET", "HEAD", "LINK", "OPTIONS", "PATCH"]),
            ("OPTIONS", "/v1/sessions:refresh", &["GET", "HEAD", "OPTIONS", "POST"]),
        ];
        for (method, raw, allowed) in cases {
            match find(method, raw).0 {
                Lookup::NotAllowed(methods) => {
                    let names: Vec<_> = methods.iter().map(Method::as_str).collect();
                    assert_eq!(names, allowed, "{method} {raw}");
                }
                other => panic!("{method} {raw}: {other:?}"),
            }
        }
    }

    #[test]
    fn unknown_paths_are_not_found() {
        let cases = [
            ("GET", "/"),
            ("GET", "/v1"),
            ("GET", "/v1/"),
            ("GET", "/v1/shelves/"),
            ("GET", "/v1/shelves/1/"),
            ("GET", "/v1//shelves"),
            ("GET", "/v1/shelves//books/2"),
            ("PUT", "/v1/shelves/1/books/2//3"),
            ("PUT", "/v1/shelves/1/books/"),
            ("GET", "/v2/shelves"),
            ("GET", "/V1/shelves"),
            // Escapes are data: policy and routing see the same bytes.
            ("POST", "/v1/%73essions:refresh"),
            ("POST", "/v1/shelves/:archive"),
        ];
        for (method, raw) in cases {
            let found = find(method, raw).0;
            let expected = matches!(found, Lookup::NotFound)
                // `/v1/{any}` knows this path for GET.
                || (raw == "/v1/%73essions:refresh" && matches!(found, Lookup::NotAllowed(_)));
            assert!(expected, "{method} {raw}: {found:?}");
        }
    }

    #[test]
    fn two_rules_for_the_same_requests_are_refused_by_name() {
        let mut tree = Tree::default();
        let get = Verb::Exact(Method::GET);
        tree.insert(&get, &Template::parse("/v1/{a=x/*}").unwrap(), 0).unwrap();
        tree.insert(&get, &Template::parse("/v1/{a=x/*}:go").unwrap(), 1).unwrap();
        tree.insert(&Verb::Any, &Template::parse("/v1/x/{b}").unwrap(), 2).unwrap();
        assert_eq!(tree.insert(&get, &Template::parse("/v1/x/{b}").unwrap(), 3), Err(0));
        assert_eq!(tree.insert(&get, &Template::parse("/v1/x/*:go").unwrap(), 4), Err(1));
        assert_eq!(tree.insert(&Verb::Any, &Template::parse("/v1/x/*").unwrap(), 5), Err(2));
    }
}
