//! The tree of templates: literal before `*` before `**`, and a node that knows
//! the path but not the method does not end the search. Only when no node knows
//! the method either is the answer "method not allowed". A lookup allocates
//! nothing unless it fails.

use std::collections::BTreeSet;

use super::{Method, literals::Literals, path::Path};
use crate::{
    percent::canonical_bytes,
    template::{Segment, Template},
};

/// What a lookup finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A rule.
    Found(Match),
    /// Rules for this path exist, for these methods only, in alphabetical order.
    /// `OPTIONS` is among them, and `HEAD` where `GET` is.
    NotAllowed(Vec<Box<str>>),
    /// No rule knows the path.
    NotFound,
}

/// A rule that a request leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// The number given to [`Tree::insert`].
    pub rule: usize,
    /// Bytes at the end of the path that are the rule's verb, with its colon.
    pub verb: usize,
}

/// A tree of rules.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: Literals,
    star: Option<u32>,
    /// What follows `**`, which may be nothing.
    rest: Option<u32>,
    plain: Methods,
    verbs: Vec<(Box<str>, Methods)>,
}

#[derive(Debug, Default)]
struct Methods {
    named: Vec<(Box<str>, usize)>,
    any: Option<usize>,
}

impl Default for Tree {
    fn default() -> Self {
        Tree { nodes: vec![Node::default()] }
    }
}

impl Tree {
    /// Adds a rule.
    ///
    /// # Errors
    /// The number of the rule that already answers to the same method and the
    /// same paths, whatever its variables are called.
    pub fn insert(
        &mut self,
        method: &Method,
        template: &Template,
        rule: usize,
    ) -> Result<(), usize> {
        let mut at = 0;
        for segment in template.segments() {
            let new = u32::try_from(self.nodes.len()).expect("fewer nodes than 2³²");
            let node = &mut self.nodes[at as usize];
            at = match segment {
                Segment::Literal(text) => node.literals.get_or_insert(text, new),
                Segment::Star => *node.star.get_or_insert(new),
                Segment::Rest => *node.rest.get_or_insert(new),
            };
            if at == new {
                self.nodes.push(Node::default());
            }
        }
        self.nodes[at as usize].methods_mut(template.verb()).insert(method, rule)
    }

    /// Finds the rule for a request.
    #[must_use]
    pub fn find(&self, method: &str, path: &Path<'_>) -> Lookup {
        let mut search = Search { tree: self, path, method, allowed: None, steps: 0 };
        if let Some(found) = search.node(0, 0) {
            return Lookup::Found(found);
        }
        search.allowed = Some(BTreeSet::new());
        search.node(0, 0);
        match search.allowed {
            Some(allowed) if !allowed.is_empty() => {
                Lookup::NotAllowed(allowed.into_iter().map(Box::from).collect())
            }
            _ => Lookup::NotFound,
        }
    }

    /// The work that finding the rule takes: nodes visited and literals compared.
    /// It does not depend on how many rules the tree has.
    #[must_use]
    pub fn steps(&self, method: &str, path: &Path<'_>) -> u32 {
        let mut search = Search { tree: self, path, method, allowed: None, steps: 0 };
        search.node(0, 0);
        search.steps
    }
}

/// What a template's variables captured of a path that it matched, raw, in the
/// order of [`Template::variables`].
#[derive(Clone, Copy, Debug)]
pub struct Captures<'a> {
    template: &'a Template,
    path: Path<'a>,
    verb: usize,
}

impl<'a> Captures<'a> {
    /// The captures of a match.
    #[must_use]
    pub fn new(template: &'a Template, path: Path<'a>, found: Match) -> Captures<'a> {
        Captures { template, path, verb: found.verb }
    }

    /// What a variable captured: whole segments, never the verb.
    ///
    /// # Panics
    /// When the template has no such variable.
    #[must_use]
    pub fn get(&self, variable: usize) -> &'a str {
        let range = &self.template.variables()[variable].segments;
        let (from, to) = (self.place(range.start), self.place(range.end));
        let captured = self.path.slice(from, to);
        if to == self.path.len() {
            &captured[..captured.len().saturating_sub(self.verb)]
        } else {
            captured
        }
    }

    /// Where in the path a segment of the template begins: those behind `**` are
    /// counted from the end.
    fn place(&self, segment: usize) -> usize {
        match self.template.rest() {
            Some(rest) if segment > rest => {
                let behind = self.template.segments().len() - segment;
                self.path.len().saturating_sub(behind)
            }
            _ => segment,
        }
    }
}

struct Search<'a> {
    tree: &'a Tree,
    path: &'a Path<'a>,
    method: &'a str,
    /// The methods that the path has, when they are asked for.
    allowed: Option<BTreeSet<&'a str>>,
    steps: u32,
}

impl<'a> Search<'a> {
    /// Searches from a node for what is left of the path. Without `**` before
    /// its end a node is visited at most once, as its depth is its place in the
    /// path; behind one, at most once for each segment of the path.
    fn node(&mut self, node: u32, at: usize) -> Option<Match> {
        self.steps += 1;
        if at == self.path.len() {
            return self.finish(node, "");
        }
        self.literal(node, at).or_else(|| self.star(node, at)).or_else(|| self.rest(node, at))
    }

    fn literal(&mut self, node: u32, at: usize) -> Option<Match> {
        let literals = &self.tree.nodes[node as usize].literals;
        let (segment, odd) = (self.path.segment(at), self.path.is_odd(at));
        if let Some((base, verb)) = self.split_verb(at)
            && let Some(next) = literals.get(base, odd, &mut self.steps)
            && let Some(found) = self.finish(next, verb)
        {
            return Some(found);
        }
        let next = literals.get(segment, odd, &mut self.steps)?;
        self.node(next, at + 1)
    }

    fn star(&mut self, node: u32, at: usize) -> Option<Match> {
        let next = self.tree.nodes[node as usize].star?;
        if let Some((base, verb)) = self.split_verb(at)
            && self.knows_verb(next, verb)
        {
            // Where a rule has this verb the colon is its; elsewhere it is data.
            return if base.is_empty() { None } else { self.finish(next, verb) };
        }
        if self.path.segment(at).is_empty() { None } else { self.node(next, at + 1) }
    }

    /// `**` takes as little as it can first, so that of two templates the one
    /// that says more about the end of the path is found first.
    fn rest(&mut self, node: u32, at: usize) -> Option<Match> {
        let next = self.tree.nodes[node as usize].rest?;
        let tail = self.tree.nodes[next as usize].has_tail();
        for end in at..self.path.len() {
            if end > at && self.path.segment(end - 1).is_empty() {
                return None;
            }
            if tail && let Some(found) = self.behind_rest(next, end) {
                return Some(found);
            }
        }
        self.rest_to_the_end(next)
    }

    fn behind_rest(&mut self, next: u32, at: usize) -> Option<Match> {
        self.steps += 1;
        self.literal(next, at).or_else(|| self.star(next, at))
    }

    fn rest_to_the_end(&mut self, next: u32) -> Option<Match> {
        let last = self.path.len() - 1;
        if let Some((base, verb)) = self.split_verb(last)
            && self.tree.nodes[next as usize].has_verb(verb)
        {
            return if base.is_empty() { None } else { self.finish(next, verb) };
        }
        if self.path.segment(last).is_empty() { None } else { self.finish(next, "") }
    }

    /// The path ends at this node, but for the verb; `**` matches nothing at all,
    /// too.
    fn finish(&mut self, node: u32, verb: &str) -> Option<Match> {
        let found = self.method_of(node, verb);
        found.or_else(|| self.method_of(self.tree.nodes[node as usize].rest?, verb))
    }

    fn method_of(&mut self, node: u32, verb: &str) -> Option<Match> {
        let methods = self.tree.nodes[node as usize].methods(verb)?;
        if let Some(allowed) = &mut self.allowed {
            methods.note(allowed);
        }
        let bytes = if verb.is_empty() { 0 } else { verb.len() + 1 };
        methods.get(self.method).map(|rule| Match { rule, verb: bytes })
    }

    fn knows_verb(&self, node: u32, verb: &str) -> bool {
        let node = &self.tree.nodes[node as usize];
        let rest = node.rest.map(|rest| &self.tree.nodes[rest as usize]);
        node.has_verb(verb) || rest.is_some_and(|rest| rest.has_verb(verb))
    }

    /// The last segment at its last colon, which may begin a verb.
    fn split_verb(&self, at: usize) -> Option<(&'a str, &'a str)> {
        // A colon is no unreserved character.
        if at + 1 != self.path.len() || !self.path.is_odd(at) {
            return None;
        }
        self.path.segment(at).rsplit_once(':').filter(|(_, verb)| !verb.is_empty())
    }
}

impl Node {
    fn methods_mut(&mut self, verb: Option<&str>) -> &mut Methods {
        let Some(verb) = verb else { return &mut self.plain };
        let at = self.verbs.iter().position(|(name, _)| **name == *verb).unwrap_or_else(|| {
            self.verbs.push((verb.into(), Methods::default()));
            self.verbs.len() - 1
        });
        &mut self.verbs[at].1
    }

    fn methods(&self, verb: &str) -> Option<&Methods> {
        if verb.is_empty() {
            return Some(&self.plain);
        }
        let same = |name: &str| name.bytes().eq(canonical_bytes(verb));
        self.verbs.iter().find(|(name, _)| same(name)).map(|(_, methods)| methods)
    }

    fn has_tail(&self) -> bool {
        self.star.is_some() || !self.literals.is_empty()
    }

    fn has_verb(&self, verb: &str) -> bool {
        !self.verbs.is_empty() && self.methods(verb).is_some()
    }
}

impl Methods {
    fn insert(&mut self, method: &Method, rule: usize) -> Result<(), usize> {
        match method {
            Method::Any => match self.any {
                Some(earlier) => return Err(earlier),
                None => self.any = Some(rule),
            },
            Method::Named(method) => {
                if let Some((_, earlier)) = self.named.iter().find(|(name, _)| name == method) {
                    return Err(*earlier);
                }
                self.named.push((method.clone(), rule));
            }
        }
        Ok(())
    }

    /// HEAD is answered by the rule for GET (RFC 9110 §9.3.2).
    fn get(&self, method: &str) -> Option<usize> {
        let named = |wanted: &str| {
            self.named.iter().find(|(name, _)| **name == *wanted).map(|(_, rule)| *rule)
        };
        let head = || if method == "HEAD" { named("GET") } else { None };
        named(method).or_else(head).or(self.any)
    }

    fn note<'a>(&'a self, allowed: &mut BTreeSet<&'a str>) {
        for (method, _) in &self.named {
            allowed.insert(method);
            if **method == *"GET" {
                allowed.insert("HEAD");
            }
        }
        if !self.named.is_empty() {
            allowed.insert("OPTIONS");
        }
    }
}
