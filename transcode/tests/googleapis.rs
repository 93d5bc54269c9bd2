//! All of Google's public APIs at once: thousands of methods, none of which was
//! written with this crate in mind. `TITAN_TEST_GOOGLEAPIS` names their encoded
//! `FileDescriptorSet`, which the set-up of the tests in CI makes; without it this
//! says so and ends, unless `TITAN_TEST_BACKENDS=all` wants everything.

#![allow(clippy::unwrap_used, missing_docs)]
#![allow(clippy::print_stdout, reason = "what is measured here is for people to read")]

use std::{collections::BTreeSet, env, fs, sync::Arc, time::Instant};

use prost_reflect::{
    DescriptorPool, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, Value,
};
use transcode::{
    Schema,
    bind::{BindingError, Request, RequestOptions, RuleError},
    route::Path,
    routes::{Found, Route, RouteError, Routes},
    template::{Segment, Template, Variable},
};

type Rules = Routes<MethodDescriptor>;

/// What `**` stands for in examples.
const RESTS: [&str; 3] = ["c/d/e", "c", ""];

#[test]
fn every_rule_is_reached_by_its_example_at_the_same_cost_as_among_ten() {
    let Some(pool) = pool() else { return };
    let methods: Vec<_> =
        pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();

    // The first of two takes the memory that the descriptors' decoding left free.
    let schema = Arc::new(Schema::compile(&pool).unwrap());
    let _first = routes(&schema, &methods);
    let (before, start) = (resident(), Instant::now());
    let schema = Arc::new(Schema::compile(&pool).unwrap());
    let (all, conflicts) = routes(&schema, &methods);
    println!(
        "{} messages, {} rules loaded in {:?}, {} MiB",
        pool.all_messages().count(),
        all.all().len(),
        start.elapsed(),
        (resident() - before) >> 10,
    );
    // What each API serves at a host of its own cannot all be served at one.
    assert!(all.all().len() > 5_000 && conflicts < all.all().len() / 20, "{conflicts} conflicts");

    each_is_reached(&schema, &methods);
    costs_the_same(&schema, &all);
}

/// Of two rules with `**` that share each path, the one that says more about its
/// end is found: `…/{parent=…/**}/{collection_id}`. What is meant depends on
/// whether the number of segments is even, which no template says.
const SHADOWED: [&str; 1] = ["google.firestore.v1.Firestore.GetDocument \
     /v1/{name=projects/*/databases/*/documents/*/**}"];

/// Within its service every rule answers to its own example, and the message that
/// it becomes says what the path says.
fn each_is_reached(schema: &Arc<Schema>, methods: &[MethodDescriptor]) {
    let (mut count, mut shadowed) = (0, BTreeSet::new());
    for service in methods.chunk_by(|one, other| one.parent_service() == other.parent_service()) {
        let (rules, _) = routes(schema, service);
        for route in rules.all() {
            let template = route.binding.template();
            let method = route.binding.method().to_string();
            // `…/**` and `…/**/{id}` share all but the shortest paths.
            let mut paths = RESTS.iter().map(|rest| (rest, example(route, rest)));
            let reached = paths.find(|(_, path)| leads_to(&rules, &method, path, route));
            let Some((rest, path)) = reached else {
                shadowed.insert(format!("{} {template}", route.rpc()));
                continue;
            };
            let Found::Route(_, captures) = rules.find(&method, Path::parse(&path).unwrap()) else {
                panic!("it was found before");
            };
            let request =
                Request { captures, query: "", body: b"", content_type: "", is_form: false };
            let mut out = Vec::new();
            let options = RequestOptions::default();
            route.binding.request(&request, &options, &mut out).unwrap();
            let message = DynamicMessage::decode(route.target.input(), out.as_slice()).unwrap();
            for variable in template.variables() {
                let expected = value(&route.target.input(), template, variable, rest);
                assert_eq!(text(&message, &variable.field), expected, "{}: {path}", route.rpc());
            }
            count += 1;
        }
    }
    println!("{count} rules are reached by their examples");
    assert!(shadowed.iter().eq(&SHADOWED), "{shadowed:#?}");
}

fn leads_to(rules: &Rules, method: &str, path: &str, route: &Route<MethodDescriptor>) -> bool {
    match rules.find(method, Path::parse(path).unwrap()) {
        Found::Route(found, _) => std::ptr::eq(found, route),
        _ => false,
    }
}

/// Nodes visited and literals compared, among all rules and among ten.
fn costs_the_same(schema: &Arc<Schema>, all: &Rules) {
    let (mut among_all, mut among_ten, mut sample) = (0, 0, 0);
    for ten in all.all().chunks(10).step_by(7) {
        let methods: Vec<_> = ten.iter().map(|route| route.target.clone()).collect();
        let (few, _) = routes(schema, &methods);
        for route in ten {
            let (method, path) = (route.binding.method().to_string(), example(route, RESTS[0]));
            let path = Path::parse(&path).unwrap();
            among_all += all.steps(&method, &path);
            among_ten += few.steps(&method, &path);
            sample += 1;
        }
    }
    let ratio = f64::from(among_all) / f64::from(among_ten);
    println!("{sample} examples: {among_all} steps among all, {among_ten} among ten: {ratio:.2}");
    assert!(ratio <= 1.2, "{ratio}");
}

/// All rules of these methods that do not contradict an earlier one.
fn routes(schema: &Arc<Schema>, methods: &[MethodDescriptor]) -> (Rules, usize) {
    let mut rules = Routes::new(schema.clone());
    let mut conflicts = 0;
    for method in methods {
        match rules.add(method, &[], |_| method.clone()) {
            Ok(()) => {}
            Err(RouteError::Conflict { .. }) => conflicts += 1,
            // An annotation that says nothing but its selector.
            Err(RouteError::Binding {
                error: BindingError::Rule(RuleError::NoPattern), ..
            }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    (rules, conflicts)
}

fn example(route: &Route<MethodDescriptor>, rest: &str) -> String {
    let (template, input) = (route.binding.template(), route.target.input());
    let values: Vec<_> =
        template.variables().iter().map(|v| value(&input, template, v, rest)).collect();
    let place = |name: &str| template.variables().iter().position(|v| *v.field == *name).unwrap();
    template.expand(|name| &values[place(name)])
}

/// A value that the variable's segments and its field's type take.
fn value(
    input: &MessageDescriptor,
    template: &Template,
    variable: &Variable,
    rest: &str,
) -> String {
    let segments = &template.segments()[variable.segments.clone()];
    if let [Segment::Star] = segments {
        return match kind(input, &variable.field) {
            Kind::String | Kind::Bytes => "abcd".to_owned(),
            Kind::Bool => "true".to_owned(),
            Kind::Enum(kind) => kind.values().last().unwrap().number().to_string(),
            _ => "7".to_owned(),
        };
    }
    let parts = segments.iter().map(|segment| match segment {
        Segment::Literal(text) => text.to_string(),
        Segment::Star => "a:b é".to_owned(),
        Segment::Rest => rest.to_owned(),
    });
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

fn kind(input: &MessageDescriptor, path: &str) -> Kind {
    let mut kind = Kind::Message(input.clone());
    for name in path.split('.') {
        let field = kind.as_message().and_then(|message| message.get_field_by_name(name));
        kind = field.unwrap().kind();
    }
    kind
}

fn text(message: &DynamicMessage, path: &str) -> String {
    let mut value = Value::Message(message.clone());
    for name in path.split('.') {
        let inner = value.as_message().unwrap().get_field_by_name(name).unwrap().into_owned();
        value = inner;
    }
    match value {
        Value::String(text) => text,
        Value::Bool(value) => value.to_string(),
        Value::I32(value) | Value::EnumNumber(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn pool() -> Option<DescriptorPool> {
    let Some(path) = env::var_os("TITAN_TEST_GOOGLEAPIS") else {
        let all = env::var("TITAN_TEST_BACKENDS").is_ok_and(|backends| backends == "all");
        assert!(!all, "TITAN_TEST_GOOGLEAPIS is not set");
        println!("skipped: TITAN_TEST_GOOGLEAPIS names no descriptor set");
        return None;
    };
    Some(DescriptorPool::decode(fs::read(path).unwrap().as_slice()).unwrap())
}

/// Resident memory in KiB, as Linux counts it.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
