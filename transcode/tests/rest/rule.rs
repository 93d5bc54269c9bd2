//! Rules as contracts have them: which are compiled, which are refused, and whose
//! rule it is when there are several.

use prost_reflect::{DynamicMessage, Value};
use transcode::{
    bind::{BindingError, Body, Rule, RuleError},
    route::Method,
    routes::RouteError,
};

use crate::contracts::{Api, messaging, text};

const MESSAGES: &str = "
    message Sub { string id = 1; Sub sub = 2; repeated string ids = 3; }
    message Ask {
        string id = 1; repeated string ids = 2; Sub sub = 3; map<string, string> map = 4;
        repeated Sub subs = 5; oneof choice { string left = 6; string right = 7; Sub both = 8; }
        google.protobuf.Timestamp time = 9; google.protobuf.StringValue text = 10;
        google.api.HttpBody file = 11;
    }";

fn with(rules: &str) -> String {
    let option = format!("option (google.api.http) = {{ {rules} }};");
    format!("{MESSAGES} service Test {{ rpc Call(Ask) returns (Ask) {{ {option} }} }}")
}

fn compiled(rules: &str) -> Api {
    text(&with(rules), &[]).unwrap_or_else(|error| panic!("{rules}: {error}"))
}

fn refused(rules: &str) -> BindingError {
    match text(&with(rules), &[]).err() {
        Some(RouteError::Binding { method, error }) => {
            assert_eq!(method, "test.v1.Test.Call");
            error
        }
        other => panic!("{rules}: {other:?}"),
    }
}

/// AIP-127: "The first key … corresponds to the HTTP method."
#[test]
fn the_first_key_is_the_method() {
    let cases = [
        (r#"get: "/a""#, "GET"),
        (r#"put: "/a""#, "PUT"),
        (r#"post: "/a""#, "POST"),
        (r#"delete: "/a""#, "DELETE"),
        (r#"patch: "/a""#, "PATCH"),
        (r#"custom: { kind: "HEAD" path: "/a" }"#, "HEAD"),
        (r#"custom: { kind: "*" path: "/a" }"#, "*"),
    ];
    for (rules, method) in cases {
        let api = compiled(rules);
        let binding = &api.routes.all()[0].binding;
        assert_eq!(binding.method().to_string(), method);
        assert_eq!(binding.template().to_string(), "/a");
        assert_eq!((binding.body(), binding.response_body()), (Body::None, None));
    }
}

/// "The name of the request field whose value is mapped to the HTTP request body,
/// or `*` … or omitted …"; "The name of the response field whose value is mapped
/// to the HTTP response body."
#[test]
fn bodies_are_everything_or_a_field_or_nothing() {
    let api = compiled(r#"post: "/a" body: "*""#);
    assert_eq!(api.routes.all()[0].binding.body(), Body::Whole);
    let api = compiled(r#"post: "/a" body: "sub" response_body: "ids""#);
    let field = &api.routes.all()[0].binding;
    assert_eq!((field.body(), field.response_body()), (Body::Field("sub"), Some("ids")));
    assert!(!field.takes_http_body() && !field.gives_http_body());
    let api = compiled(r#"post: "/a" body: "file" response_body: "file""#);
    let raw = &api.routes.all()[0].binding;
    assert!(raw.takes_http_body() && raw.gives_http_body());
}

/// "This pattern can be used with any of the {get|put|post|delete|patch} methods."
/// A rule without one answers to nothing.
#[test]
fn a_rule_has_a_pattern() {
    assert_eq!(refused(r#"body: "*""#), RuleError::NoPattern.into());
    assert_eq!(refused(""), RuleError::NoPattern.into());
    let kind = RuleError::Kind("NO METHOD".to_owned());
    assert_eq!(refused(r#"custom: { kind: "NO METHOD" path: "/a" }"#), kind.into());
    assert_eq!(refused(r#"custom: { path: "/a" }"#), RuleError::Kind(String::new()).into());
}

/// "… the nesting may only be one level deep". AIP-127: "RPCs must not define an
/// additional binding within an additional binding."
#[test]
fn additional_bindings_have_none_of_their_own() {
    let rules = r#"get: "/a" additional_bindings { get: "/b" additional_bindings { get: "/c" } }"#;
    assert_eq!(refused(rules), RuleError::Nested.into());
}

/// AIP-127: "RPCs may define any number of additional bindings."
#[test]
fn every_additional_binding_is_a_rule() {
    let api = messaging();
    let of = |name: &str| api.routes.all().iter().filter(|r| r.target.name() == name).count();
    assert_eq!((of("GetMessage"), of("GetByName"), of("Types")), (2, 1, 33));
}

#[test]
fn a_template_that_is_none_is_refused_with_its_text() {
    match refused(r#"get: "/a/{b""#) {
        BindingError::Template { template, .. } => assert_eq!(template, "/a/{b"),
        other => panic!("{other}"),
    }
}

/// "… as long as each field is a non-repeated field with a primitive (non-message)
/// type"; "The path variables must not refer to any repeated or mapped field".
#[test]
fn a_variable_is_a_singular_field_with_a_primitive_type() {
    let names = [
        "nope",
        "ids",
        "map",
        "subs",
        "sub",
        "subs.id",
        "map.key",
        "sub.nope",
        "id.id",
        "sub.ids",
        "time",
        "time.seconds",
        "text.value",
        "file",
    ];
    for name in names {
        let rules = format!(r#"get: "/a/{{{name}}}""#);
        assert_eq!(refused(&rules), BindingError::Variable(name.to_owned()), "{name}");
    }
    for name in ["id", "sub.id", "sub.sub.sub.id", "left", "both.id", "text"] {
        compiled(&format!(r#"get: "/a/{{{name}}}""#));
    }
}

#[test]
fn variables_do_not_exclude_each_other_or_the_body() {
    for rules in [
        r#"get: "/a/{left}/{right}""#,
        r#"get: "/a/{both.id}/{right}""#,
        r#"post: "/a/{left}" body: "both""#,
    ] {
        assert!(matches!(refused(rules), BindingError::Oneof(_)), "{rules}");
    }
    compiled(r#"post: "/a/{both.id}" body: "both""#);
    compiled(r#"get: "/a/{both.id}/{both.sub.id}""#);
}

#[test]
fn a_variable_is_not_the_body() {
    let id = BindingError::VariableIsBody("id".to_owned());
    assert_eq!(refused(r#"post: "/a/{id}" body: "id""#), id);
    let file = BindingError::VariableIsBody("file.content_type".to_owned());
    assert_eq!(refused(r#"post: "/a/{file.content_type}" body: "file""#), file);
}

/// "NOTE: the referred field must be present at the top-level of the request
/// message type."
#[test]
fn a_body_is_a_field_at_the_top() {
    for name in ["nope", "sub.sub", "Sub", "**"] {
        let body = BindingError::Body(name.to_owned());
        assert_eq!(refused(&format!(r#"post: "/a" body: "{name}""#)), body);
        let response = BindingError::ResponseBody(name.to_owned());
        assert_eq!(refused(&format!(r#"get: "/a" response_body: "{name}""#)), response);
    }
    let star = BindingError::ResponseBody("*".to_owned());
    assert_eq!(refused(r#"get: "/a" response_body: "*""#), star);
}

/// AIP-127: "RPCs must not define a `body` at all for RPCs that use the `GET` or
/// `DELETE` HTTP verbs." Of DELETE this is advice, since http.proto allows it and
/// public APIs of Google's do it; of GET a body means nothing to HTTP and is read
/// differently along the way (RFC 9110 §9.3.1).
#[test]
fn get_and_head_have_no_body() {
    let get = BindingError::BodyOfGet(Method::Named("GET".into()));
    assert_eq!(refused(r#"get: "/a" body: "*""#), get);
    let head = BindingError::BodyOfGet(Method::Named("HEAD".into()));
    assert_eq!(refused(r#"custom: { kind: "HEAD" path: "/a" } body: "sub""#), head);
    assert_eq!(compiled(r#"delete: "/a" body: "*""#).routes.all()[0].binding.body(), Body::Whole);
}

#[test]
fn two_rules_for_the_same_requests_are_refused_with_both_names() {
    let one = r#"option (google.api.http) = { get: "/a/{id}" };"#;
    let two =
        r#"option (google.api.http) = { get: "/a" additional_bindings { get: "/a/{text}" } };"#;
    let body = format!(
        "{MESSAGES} service Test {{ rpc One(Ask) returns (Ask) {{ {one} }}
                                    rpc Two(Ask) returns (Ask) {{ {two} }} }}"
    );
    let error = text(&body, &[]).err().unwrap();
    let expected = RouteError::Conflict {
        earlier: "test.v1.Test.One".to_owned(),
        later: "test.v1.Test.Two".to_owned(),
        method: Method::Named("GET".into()),
        template: "/a/{text}".to_owned(),
        other: "/a/{id}".to_owned(),
    };
    assert_eq!(error, expected);
    for name in ["test.v1.Test.One", "test.v1.Test.Two", "/a/{id}", "/a/{text}", "GET"] {
        assert!(error.to_string().contains(name), "{error}");
    }
}

/// "… any transcoding specified in the service config will override any matching
/// transcoding configuration in the proto"; "All service configuration rules
/// follow "last one wins" order."
#[test]
fn a_service_configuration_overrides_annotations_and_its_last_rule_wins() {
    let paths = |config: &[Rule]| {
        let api = text(&with(r#"get: "/a" additional_bindings { get: "/b" }"#), config).unwrap();
        let routes = api.routes.all().iter();
        routes.map(|route| route.binding.template().to_string()).collect::<Vec<_>>()
    };
    let rule = |selector: &str, path: &str| {
        let rule = Rule::new(Method::Named("GET".into()), path);
        Rule { selector: selector.to_owned(), ..rule }
    };
    assert_eq!(paths(&[]), ["/a", "/b"]);
    assert_eq!(paths(&[rule("test.v1.Test.Call", "/c")]), ["/c"]);
    assert_eq!(paths(&[rule("test.v1.Test.Call", "/c"), rule("*", "/d")]), ["/d"]);
    assert_eq!(paths(&[rule("test.v1.Test.*", "/c"), rule("other.v1.*", "/d")]), ["/c"]);
    assert_eq!(paths(&[rule("other.v1.X, test.v1.Test.Call", "/c")]), ["/c"]);
    for selector in ["test.v1.Test.Cal", "test.v1.Test.Cal*", "test.v1.Test", ""] {
        assert_eq!(paths(&[rule(selector, "/c")]), ["/a", "/b"], "{selector}");
    }
}

#[test]
fn a_service_configuration_is_read_from_its_message() {
    let api = messaging();
    let pool = api.routes.all()[0].target.parent_pool().clone();
    let http = pool.get_message_by_name("google.api.Http").unwrap();
    let text = r#"{"rules": [
        {"selector": "a.B.C", "post": "/x", "body": "*", "responseBody": "y",
         "additionalBindings": [{"custom": {"kind": "LINK", "path": "/z"}}]},
        {"selector": "a.B.D", "get": "/w"}]}"#;
    let mut json = serde_json::Deserializer::from_str(text);
    let mut config = DynamicMessage::deserialize(http, &mut json).unwrap();
    let rules = Rule::of_config(&config).unwrap();
    let first = Rule {
        selector: "a.B.C".to_owned(),
        body: "*".to_owned(),
        response_body: "y".to_owned(),
        additional_bindings: vec![Rule::new(Method::Named("LINK".into()), "/z")],
        ..Rule::new(Method::Named("POST".into()), "/x")
    };
    assert_eq!(rules[0], first);
    assert_eq!((rules.len(), rules[1].path.as_str()), (2, "/w"));
    let rule = pool.get_message_by_name("google.api.HttpRule").unwrap();
    config.set_field_by_name("rules", Value::List(vec![Value::Message(DynamicMessage::new(rule))]));
    assert_eq!(Rule::of_config(&config), Err(RuleError::NoPattern));
}

/// "RPCs … except for bi-directional streaming RPCs": a method without a rule is
/// reached by gRPC alone.
#[test]
fn a_method_without_a_rule_has_no_routes() {
    let body = format!("{MESSAGES} service Test {{ rpc Call(stream Ask) returns (stream Ask); }}");
    assert!(text(&body, &[]).unwrap().routes.all().is_empty());
}

#[test]
fn a_rule_tells_what_its_query_may_give() {
    let api = compiled(r#"post: "/a/{sub.id}" body: "both""#);
    let binding = &api.routes.all()[0].binding;
    for name in ["id", "ids", "sub.sub.id", "sub.ids", "time", "text", "left"] {
        assert!(binding.takes_parameter(name), "{name}");
    }
    for name in ["sub.id", "both", "both.id", "sub", "subs", "map", "file", "nope", ""] {
        assert!(!binding.takes_parameter(name), "{name}");
    }
    let api = compiled(r#"post: "/a" body: "*""#);
    assert!(!api.routes.all()[0].binding.takes_parameter("id"));
}
