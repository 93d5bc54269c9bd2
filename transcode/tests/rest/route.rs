//! From a method and a raw path to a rule and what its variables say.

use transcode::{
    percent::decode,
    route::{Captures, Lookup, Method, Path, Tree},
    template::Template,
};

struct Rules {
    tree: Tree,
    templates: Vec<Template>,
}

impl Rules {
    fn new(rules: &[(&str, &str)]) -> Rules {
        let (mut tree, mut templates) = (Tree::default(), Vec::new());
        for (at, (method, template)) in rules.iter().enumerate() {
            let template = Template::parse(template).unwrap();
            tree.insert(&Method::parse(method).unwrap(), &template, at).unwrap();
            templates.push(template);
        }
        Rules { tree, templates }
    }

    /// The rule and its decoded variables, or the methods that there are.
    fn find(&self, method: &str, raw: &str) -> Result<(usize, Vec<String>), String> {
        let path = Path::parse(raw).unwrap_or_else(|error| panic!("{raw}: {error}"));
        match self.tree.find(method, &path) {
            Lookup::Found(found) => {
                let template = &self.templates[found.rule];
                let captures = Captures::new(template, path, found);
                let variables = template.variables().iter().enumerate();
                let decoded = variables
                    .map(|(at, variable)| decode(captures.get(at), variable.scope).unwrap().into());
                Ok((found.rule, decoded.collect()))
            }
            Lookup::NotAllowed(allowed) => Err(allowed.join(",")),
            Lookup::NotFound => Err("404".to_owned()),
        }
    }

    fn found(&self, method: &str, raw: &str, rule: usize, captured: &[&str]) {
        let (found, values) =
            self.find(method, raw).unwrap_or_else(|answer| panic!("{method} {raw}: {answer}"));
        assert_eq!(found, rule, "{method} {raw}");
        assert_eq!(values, captured, "{method} {raw}");
    }

    fn refused(&self, method: &str, raw: &str, answer: &str) {
        assert_eq!(self.find(method, raw), Err(answer.to_owned()), "{method} {raw}");
    }
}

fn library() -> Rules {
    Rules::new(&[
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
    ])
}

/// "The syntax `*` matches a single URL path segment." AIP-127: "… which matches
/// all URI-safe characters except for `/`."
#[test]
fn a_star_is_one_segment_that_is_not_empty() {
    let rules = library();
    rules.found("GET", "/v1/shelves/1", 0, &["shelves/1"]);
    rules.found("GET", "/v1/shelves/~!$&'()*+,;=:@-._", 0, &["shelves/~!$&'()*+,;=:@-._"]);
    rules.refused("GET", "/v1/shelves/1/2", "404");
    rules.refused("GET", "/v1/shelves/", "404");
    rules.refused("GET", "/v1/shelves//books/2", "404");
}

/// "The syntax `**` matches zero or more URL path segments"
#[test]
fn a_rest_is_no_segment_or_more() {
    let rules = library();
    rules.found("GET", "/files", 10, &[""]);
    rules.found("GET", "/files/a/b%20c", 10, &["a/b c"]);
    rules.found("PUT", "/v1/shelves/1/books", 6, &["shelves/1/books"]);
    rules.found("PUT", "/v1/shelves/1/books/2/3", 6, &["shelves/1/books/2/3"]);
    rules.refused("GET", "/files/", "404");
    rules.refused("GET", "/files/a//b", "404");
    rules.refused("GET", "/files//", "404");
    let root = Rules::new(&[("GET", "/{path=**}")]);
    root.found("GET", "/", 0, &[""]);
    root.found("GET", "/a/b", 0, &["a/b"]);
}

/// Beyond http.proto: segments may follow `**`.
#[test]
fn what_follows_a_rest_is_counted_from_the_end() {
    let rules = Rules::new(&[
        ("GET", "/v1/{name=**/botSessions/*}"),
        ("GET", "/v1/{name=**/botSessions/*}/{part}"),
        ("GET", "/v1/{prefix=a/**}/x/{id}:show"),
        ("GET", "/v1/{name=**}/last"),
        ("GET", "/v1/**/deep/last"),
    ]);
    rules.found("GET", "/v1/a/b/botSessions/1", 0, &["a/b/botSessions/1"]);
    rules.found("GET", "/v1/botSessions/1", 0, &["botSessions/1"]);
    rules.found("GET", "/v1/a/botSessions/botSessions/1", 1, &["a/botSessions/botSessions", "1"]);
    rules.found("GET", "/v1/a/botSessions/1/p", 1, &["a/botSessions/1", "p"]);
    rules.found("GET", "/v1/a/b/c/x/7:show", 2, &["a/b/c", "7"]);
    rules.found("GET", "/v1/a/x/7:show", 2, &["a", "7"]);
    rules.found("GET", "/v1/a/b/last", 3, &["a/b"]);
    rules.found("GET", "/v1/last", 3, &[""]);
    rules.found("GET", "/v1/a/deep/last", 4, &[]);
    rules.refused("GET", "/v1/a//last", "404");
    rules.refused("GET", "/v1/a/x/:show", "404");
}

/// "… except the `Verb`": it stands behind the last colon of the last segment.
#[test]
fn a_verb_is_taken_off_what_is_captured() {
    let rules = library();
    rules.found("POST", "/v1/shelves/1:archive", 4, &["shelves/1"]);
    rules.found("POST", "/v1/shelves/a:b:archive", 4, &["shelves/a:b"]);
    rules.found("POST", "/v1/sessions:refresh", 8, &[]);
    rules.found("POST", "/files/a/b:read", 11, &["a/b"]);
    rules.found("POST", "/files:read", 11, &[""]);
    rules.refused("POST", "/v1/shelves/:archive", "404");
    rules.refused("POST", "/files/:read", "404");
}

#[test]
fn a_colon_is_data_where_no_rule_has_the_verb() {
    let rules = library();
    rules.found("GET", "/v1/shelves/1:other", 0, &["shelves/1:other"]);
    rules.found("GET", "/v1/shelves/1:", 0, &["shelves/1:"]);
    rules.found("GET", "/v1/shelves/a:archive/books/b", 7, &["shelves/a:archive/books/b"]);
    // Encoded, it is never a verb.
    rules.found("GET", "/v1/shelves/1%3Aarchive", 0, &["shelves/1:archive"]);
    // Where a rule has the verb the colon is its, whatever the method.
    rules.refused("GET", "/v1/shelves/1:archive", "OPTIONS,POST");
}

#[test]
fn a_literal_comes_before_a_star_and_a_star_before_a_rest() {
    let rules = library();
    rules.found("GET", "/v1/shelves/special", 5, &[]);
    rules.found("GET", "/v1/shelves/1/books/2", 7, &["shelves/1/books/2"]);
    let rules = Rules::new(&[
        ("GET", "/{a=**}"),
        ("GET", "/{a}/{b}"),
        ("GET", "/{a}/y"),
        ("GET", "/x/{b}"),
        ("GET", "/x/y/z"),
    ]);
    rules.found("GET", "/x/y", 3, &["y"]);
    rules.found("GET", "/w/y", 2, &["w"]);
    rules.found("GET", "/w/w", 1, &["w", "w"]);
    rules.found("GET", "/x/y/z", 4, &[]);
    rules.found("GET", "/x/y/w", 0, &["x/y/w"]);
    rules.found("GET", "/x", 0, &["x"]);
}

#[test]
fn a_dead_end_is_left_for_the_next_alternative() {
    let rules = Rules::new(&[
        ("GET", "/a/b/c/d"),
        ("GET", "/a/{x}/c/e"),
        ("GET", "/{x}/b/c/f"),
        ("GET", "/a/**"),
    ]);
    rules.found("GET", "/a/b/c/e", 1, &["b"]);
    rules.found("GET", "/z/b/c/f", 2, &["z"]);
    // The first difference decides, from left to right.
    rules.found("GET", "/a/b/c/f", 3, &[]);
}

#[test]
fn a_path_without_the_method_does_not_hide_one_that_has_it() {
    let rules = library();
    // The literal does not know DELETE, the wildcard beside it does.
    rules.found("DELETE", "/v1/shelves/special", 1, &["shelves/special"]);
    rules.found("PUT", "/v1/shelves/1/books/2", 6, &["shelves/1/books/2"]);
    rules.found("GET", "/v1/sessions:refresh", 9, &["sessions:refresh"]);
}

#[test]
fn another_method_is_answered_with_those_of_every_rule_for_the_path() {
    let rules = library();
    rules.refused("PUT", "/v1/shelves", "GET,HEAD,OPTIONS,POST");
    rules.refused("POST", "/v1/shelves/special", "DELETE,GET,HEAD,LINK,OPTIONS,PATCH");
    rules.refused("OPTIONS", "/v1/sessions:refresh", "GET,HEAD,OPTIONS,POST");
    rules.refused("get", "/v1/shelves", "GET,HEAD,OPTIONS,POST");
}

/// RFC 9110 §9.3.2.
#[test]
fn head_is_answered_by_the_rule_for_get_unless_it_has_its_own() {
    let rules = Rules::new(&[("GET", "/a"), ("GET", "/b"), ("HEAD", "/b"), ("POST", "/c")]);
    rules.found("HEAD", "/a", 0, &[]);
    rules.found("HEAD", "/b", 2, &[]);
    rules.refused("HEAD", "/c", "OPTIONS,POST");
}

/// "The custom pattern is used for specifying an HTTP method that is not included
/// in the `pattern` field, such as HEAD, or "*" to leave the HTTP method
/// unspecified for this rule."
#[test]
fn a_custom_kind_is_a_method_or_any() {
    let rules = library();
    rules.found("LINK", "/v1/shelves/1", 13, &["shelves/1"]);
    for method in ["GET", "DELETE", "OPTIONS", "HEAD", "WHATEVER"] {
        rules.found(method, "/any/7", 12, &["7"]);
    }
    let rules = Rules::new(&[("*", "/a/{b}"), ("GET", "/a/{b}"), ("*", "/a/{b}:go")]);
    rules.found("GET", "/a/1", 1, &["1"]);
    rules.found("HEAD", "/a/1", 1, &["1"]);
    rules.found("PUT", "/a/1", 0, &["1"]);
    rules.found("PUT", "/a/1:go", 2, &["1"]);
    for kind in ["", "GET /", "a b", "é", "G\tT"] {
        assert_eq!(Method::parse(kind), None, "{kind:?}");
    }
}

/// "The server side does the reverse decoding."
#[test]
fn a_variable_of_one_segment_is_decoded_whole() {
    let rules = library();
    rules.found("GET", "/v1/a%2Fb", 9, &["a/b"]);
    rules.found("GET", "/v1/a%2fb", 9, &["a/b"]);
    rules.found("GET", "/v1/%41%3a%3F%23%5B%25", 9, &["A:?#[%"]);
    rules.found("GET", "/v1/%E2%82%ac", 9, &["€"]);
    rules.found("GET", "/v1/a+b", 9, &["a+b"]);
}

/// "The server side does the reverse decoding, except "%2F" and "%2f" are left
/// unchanged."
#[test]
fn a_variable_of_several_segments_keeps_its_escaped_slashes() {
    let rules = library();
    rules.found("GET", "/v1/shelves/a%2Fb", 0, &["shelves/a%2Fb"]);
    rules.found("GET", "/v1/shelves/a%2fb%20c", 0, &["shelves/a%2fb c"]);
    rules.found("GET", "/files/%2f/a%3Ab", 10, &["%2f/a:b"]);
    // An escaped slash is no separator: this is no book of the shelf `1`.
    rules.refused("PUT", "/v1/shelves/1%2Fbooks%2F2", "DELETE,GET,HEAD,LINK,OPTIONS,PATCH");
}

#[test]
fn a_text_is_decoded_once() {
    let rules = library();
    rules.found("GET", "/v1/a%252Fb", 9, &["a%2Fb"]);
    rules.found("GET", "/v1/a%25252F", 9, &["a%252F"]);
    rules.found("GET", "/v1/100%25", 9, &["100%"]);
    rules.found("GET", "/v1/shelves/%252e%252e", 0, &["shelves/%2e%2e"]);
}

/// "… such characters should be percent-encoded before the matching": encoded or
/// not, in either case of the digits.
#[test]
fn a_literal_is_found_with_its_reserved_characters_in_either_form() {
    let rules = Rules::new(&[("GET", "/a,b/{id}"), ("GET", "/é:x,y"), ("GET", "/c%2Cd")]);
    for raw in ["/a,b/7", "/a%2Cb/7", "/a%2cb/7"] {
        rules.found("GET", raw, 0, &["7"]);
    }
    for raw in ["/é:x,y", "/%c3%A9:x%2cy"] {
        rules.found("GET", raw, 1, &[]);
    }
    rules.found("GET", "/c,d", 2, &[]);
    library().found("GET", "/v1/a%20b/7", 14, &["7"]);
}

/// A policy in front of the edge that looks at raw paths must see what is routed,
/// so a code that needed none does not make a literal.
#[test]
fn a_literal_is_not_found_in_disguise() {
    let rules = library();
    rules.refused("POST", "/v1/%73essions:refresh", "GET,HEAD,OPTIONS");
    rules.refused("POST", "/%761/shelves", "404");
    rules.refused("GET", "/V1/shelves", "404");
    rules.refused("POST", "/v1/shelves%3Aarchive", "GET,HEAD,OPTIONS");
}

#[test]
fn slashes_are_neither_merged_nor_dropped() {
    let rules = library();
    for raw in ["/", "/v1/", "/v1//shelves", "//v1/shelves", "/v1/shelves/1/", "/v1/shelves//"] {
        rules.refused("GET", raw, "404");
    }
    rules.refused("PUT", "/v1/shelves/1/books/2//3", "404");
    rules.refused("PUT", "/v1/shelves/1/books/", "404");
}

#[test]
fn two_rules_for_the_same_requests_are_refused_by_number() {
    let mut tree = Tree::default();
    let get = Method::parse("GET").unwrap();
    let template = |text| Template::parse(text).unwrap();
    tree.insert(&get, &template("/v1/{a=x/*}"), 0).unwrap();
    tree.insert(&get, &template("/v1/{a=x/*}:go"), 1).unwrap();
    tree.insert(&Method::Any, &template("/v1/x/{b}"), 2).unwrap();
    tree.insert(&get, &template("/v1/**"), 3).unwrap();
    assert_eq!(tree.insert(&get, &template("/v1/x/{b}"), 9), Err(0));
    assert_eq!(tree.insert(&get, &template("/v1/x/*:go"), 9), Err(1));
    assert_eq!(tree.insert(&Method::Any, &template("/v1/x/*"), 9), Err(2));
    assert_eq!(tree.insert(&get, &template("/v1/{rest=**}"), 9), Err(3));
    assert_eq!(tree.insert(&get, &template("/v1/{rest=**}/x"), 9), Ok(()));
}

#[test]
fn what_is_looked_at_does_not_grow_with_the_rules() {
    let mut rules = vec![("GET".to_owned(), "/v1/{name=projects/*/things0/*}".to_owned())];
    let steps = |rules: &[(String, String)]| {
        let rules: Vec<_> = rules.iter().map(|(method, path)| (&**method, &**path)).collect();
        let rules = Rules::new(&rules);
        rules.found("GET", "/v1/projects/p/things0/t", 0, &["projects/p/things0/t"]);
        rules.tree.steps("GET", &Path::parse("/v1/projects/p/things0/t").unwrap())
    };
    let one = steps(&rules);
    for at in 1..2_000 {
        rules.push(("GET".to_owned(), format!("/v1/{{name=projects/*/things{at}/*}}")));
        rules.push(("GET".to_owned(), format!("/v{at}x/{{name=projects/*}}")));
    }
    let many = steps(&rules);
    assert!(many <= one + 2, "{one} steps became {many}");
}
