//! "Path template syntax" of google/api/http.proto.

use std::ops::Range;

use transcode::{
    percent::Scope,
    template::{Segment, Template, TemplateError as E},
};

fn lit(text: &str) -> Segment {
    Segment::Literal(text.into())
}

fn refused(text: &str) -> E {
    Template::parse(text).expect_err(text)
}

/// "Template = "/" Segments [ Verb ]; Segments = Segment { "/" Segment }; Segment =
/// "*" | "**" | LITERAL | Variable; Variable = "{" FieldPath [ "=" Segments ] "}";
/// FieldPath = IDENT { "." IDENT }; Verb = ":" LITERAL"
#[test]
fn every_production_of_the_grammar_is_understood() {
    use Segment::{Rest, Star};
    type Case<'a> = (&'a str, Vec<Segment>, Vec<(&'a str, Range<usize>)>, Option<&'a str>);
    let cases: Vec<Case<'_>> = vec![
        ("/", vec![], vec![], None),
        ("/v1/a", vec![lit("v1"), lit("a")], vec![], None),
        ("/v1/*", vec![lit("v1"), Star], vec![], None),
        ("/v1/**", vec![lit("v1"), Rest], vec![], None),
        ("/**", vec![Rest], vec![], None),
        ("/v1/{id}", vec![lit("v1"), Star], vec![("id", 1..2)], None),
        ("/v1/{id=*}:x", vec![lit("v1"), Star], vec![("id", 1..2)], Some("x")),
        ("/v1/{a.b=c/*}", vec![lit("v1"), lit("c"), Star], vec![("a.b", 1..3)], None),
        ("/{a=x/**}:v", vec![lit("x"), Rest], vec![("a", 0..2)], Some("v")),
        (
            "/v1/{name=shelves/*/books/**}",
            vec![lit("v1"), lit("shelves"), Star, lit("books"), Rest],
            vec![("name", 1..5)],
            None,
        ),
        ("/v1/s:go", vec![lit("v1"), lit("s")], vec![], Some("go")),
        ("/v1/s:go:on", vec![lit("v1"), lit("s%3Ago")], vec![], Some("on")),
        ("/a:b/c", vec![lit("a%3Ab"), lit("c")], vec![], None),
        ("/{a}/{b=c}", vec![Star, lit("c")], vec![("a", 0..1), ("b", 1..2)], None),
        ("/{_a1.B_2}", vec![Star], vec![("_a1.B_2", 0..1)], None),
        ("/.well-known/x.json", vec![lit(".well-known"), lit("x.json")], vec![], None),
    ];
    for (text, segments, variables, verb) in cases {
        let template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(template.segments(), segments, "{text}");
        assert_eq!(template.verb(), verb, "{text}");
        let found = template.variables().iter();
        let found: Vec<_> = found.map(|found| (&*found.field, found.segments.clone())).collect();
        assert_eq!(found, variables, "{text}");
        assert_eq!(template.to_string(), text);
    }
}

#[test]
fn what_the_grammar_does_not_allow_is_refused_by_name() {
    let cases = [
        ("", E::Relative),
        ("v1", E::Relative),
        ("{a=/v1}", E::Relative),
        ("//", E::EmptySegment),
        ("/:go", E::EmptySegment),
        ("/v1/", E::EmptySegment),
        ("/v1//a", E::EmptySegment),
        ("/v1/{a=}", E::EmptySegment),
        ("/v1/{a=b/}", E::EmptySegment),
        ("/{a", E::Braces),
        ("/a}", E::Braces),
        ("/x{a}", E::Braces),
        ("/{a}x", E::Braces),
        ("/{}", E::FieldPath),
        ("/{1a}", E::FieldPath),
        ("/{a..b}", E::FieldPath),
        ("/{a.}", E::FieldPath),
        ("/{a-b}", E::FieldPath),
        ("/{=*}", E::FieldPath),
        ("/a*", E::Literal),
        ("/***", E::Literal),
        ("/%4", E::Literal),
        ("/a%00", E::Literal),
        ("/a/../b", E::Literal),
        ("/a/%2e%2e/b", E::Literal),
        ("/%ff", E::Literal),
        ("/a:", E::EmptyVerb),
        ("/{a}:", E::EmptyVerb),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(text), expected, "{text}");
    }
    assert_eq!(refused(&"/a".repeat(65)), E::TooLong);
}

/// "A variable template must not contain other variables."
#[test]
fn a_variable_does_not_contain_others() {
    for text in ["/{a={b}}", "/{a=x/{b}}", "/{a=x/{b=*}/y}"] {
        assert_eq!(refused(text), E::NestedVariable, "{text}");
    }
}

/// "`{var}` is equivalent to `{var=*}`"
#[test]
fn the_pattern_of_one_segment_may_be_omitted() {
    let (short, long) = (Template::parse("/v1/{a}"), Template::parse("/v1/{a=*}"));
    let (short, long) = (short.unwrap(), long.unwrap());
    assert_eq!((short.segments(), short.variables()), (long.segments(), long.variables()));
}

/// "The path variables must not capture the leading "/" character."
#[test]
fn a_variable_does_not_capture_a_leading_slash() {
    for text in ["/v1{a=/b}", "/{a=/b}", "/v1/{a=/**}"] {
        let error = refused(text);
        assert!(matches!(error, E::LeadingSlash | E::Braces), "{text}: {error}");
    }
    assert_eq!(refused("/v1/{a=/b}"), E::LeadingSlash);
}

/// "… `**` …, which must be the last part of the URL path except the `Verb`": a
/// public API of Google's has `/v1test2/{name=**/botSessions/*}`, so one `**` may
/// stand anywhere; with two, where one ends would be anybody's guess.
#[test]
fn one_rest_may_be_followed_by_segments() {
    let template = Template::parse("/v1/{name=**/botSessions/*}").unwrap();
    assert_eq!(template.rest(), Some(1));
    for text in ["/**/**", "/{a=**}/{b=**}", "/{a=**/x/**}"] {
        assert_eq!(refused(text), E::TwoRests, "{text}");
    }
}

#[test]
fn a_field_is_bound_once() {
    for text in ["/{a}/{a}", "/{a}/{a.b}", "/{a.b}/{a}", "/{a.b.c}/{a.b}"] {
        assert_eq!(refused(text), E::BoundTwice, "{text}");
    }
    assert!(Template::parse("/{a.b}/{a.c}/{ab}").is_ok());
}

/// A colon at the end of a path reads as a verb, so a template whose last
/// variable ends in one would answer to the requests of another.
#[test]
fn a_colon_in_the_last_variable_is_refused() {
    for text in ["/{a=x:y}", "/v1/{a=x/y:z}", "/v1/{a=x%3Ay}"] {
        assert_eq!(refused(text), E::Colon, "{text}");
    }
    assert!(Template::parse("/{a=x:y}/z").is_ok());
}

/// "If the `LITERAL` contains any reserved character, such characters should be
/// percent-encoded before the matching."
#[test]
fn reserved_characters_of_a_literal_are_encoded() {
    let cases = [
        ("/a,b", "a%2Cb"),
        ("/a@b", "a%40b"),
        ("/a b", "a%20b"),
        ("/é", "%C3%A9"),
        ("/%c3%a9", "%C3%A9"),
        ("/%41%2f", "A%2F"),
        ("/a~b_c-d.e", "a~b_c-d.e"),
    ];
    for (text, literal) in cases {
        assert_eq!(Template::parse(text).unwrap().segments(), [lit(literal)], "{text}");
    }
    assert_eq!(Template::parse("/a:x,y").unwrap().verb(), Some("x%2Cy"));
}

/// "If a variable contains exactly one path segment, such as `{var}` or `{var=*}`
/// …"; "If a variable contains multiple path segments, such as `{var=foo/*}` or
/// `{var=**}` …"
#[test]
fn only_a_variable_of_one_segment_is_decoded_whole() {
    let cases = [
        ("/{a}", Scope::Segment),
        ("/{a=*}", Scope::Segment),
        ("/{a=x}", Scope::Segment),
        ("/{a=x/*}", Scope::Segments),
        ("/{a=**}", Scope::Segments),
        ("/{a=x/**}", Scope::Segments),
    ];
    for (text, scope) in cases {
        assert_eq!(Template::parse(text).unwrap().variables()[0].scope, scope, "{text}");
    }
}

/// "… when such a variable is expanded into a URL path on the client side, all
/// characters except `[-_.~0-9a-zA-Z]` are percent-encoded"; of several segments,
/// "all characters except `[-_.~/0-9a-zA-Z]`".
#[test]
fn a_client_expands_a_template_by_encoding_what_its_variables_say() {
    let cases = [
        ("/v1/{name=shelves/*}:lend", "shelves/a b", "/v1/shelves/a%20b:lend"),
        ("/v1/{name}", "a/b", "/v1/a%2Fb"),
        ("/v1/{name=**}/x", "a/b:c", "/v1/a/b%3Ac/x"),
        ("/v1/*/a,b/{name}", "é", "/v1/-/a%2Cb/%C3%A9"),
        ("/", "", "/"),
    ];
    for (template, value, path) in cases {
        assert_eq!(Template::parse(template).unwrap().expand(|_| value), path, "{template}");
    }
}
