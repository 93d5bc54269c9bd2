//! Bad input: each a typed error with the path of the field, never a 500 and
//! never a change half done.

use serde_json::json;

use crate::{client::Client, system::System};

/// An owner, a stranger, and a project of the owner.
fn people(system: &System) -> (Client, Client, String) {
    let edge = system.client();
    let owner = edge.sign_up("owner@example.com");
    let stranger = edge.sign_up("stranger@example.com");
    let project = owner.post("/v1/projects", &json!({"title": "A bridge"})).ok();
    let path = format!("/v1/{}", project["name"].as_str().unwrap());
    (owner, stranger, path)
}

#[test]
fn bad_input_is_refused_by_name() {
    let system = System::start();
    let (owner, stranger, path) = people(&system);
    let edge = system.client();
    let raw = |body: &str| {
        owner.send("POST", "/v1/projects", &[("content-type", "application/json")], body)
    };
    let long = "x".repeat(201);

    for (what, answer, status, field) in [
        ("malformed JSON", raw("{\"title\": "), 400, ""),
        ("trailing data", raw("{\"title\":\"a\"} x"), 400, ""),
        ("a duplicate key", raw("{\"title\":\"a\",\"title\":\"b\"}"), 400, "title"),
        ("an unknown field", raw("{\"titel\":\"a\"}"), 400, "titel"),
        ("a wrong type", raw("{\"title\":7}"), 400, "title"),
        ("a long value", raw(&format!("{{\"title\":\"{long}\"}}")), 400, "title"),
        ("nothing", raw("{}"), 400, "title"),
        ("a page token of nobody", owner.get("/v1/projects?pageToken=abc"), 400, "pageToken"),
        ("a negative page", owner.get("/v1/projects?pageSize=-1"), 400, "pageSize"),
        ("an unknown parameter", owner.get("/v1/projects?colour=red"), 400, "colour"),
        ("a filter that is none", owner.get("/v1/projects?filter=%3D%3D"), 400, "filter"),
        ("an unknown order", owner.get("/v1/projects?orderBy=colour"), 400, "orderBy"),
        (
            "a mask of nothing",
            owner.patch(&format!("{path}?updateMask=owner"), &json!({})),
            400,
            "updateMask",
        ),
        ("no token", edge.post("/v1/projects", &json!({"title": "a"})), 401, ""),
        (
            "a wrong token",
            edge.with_token("a.b.c").post("/v1/projects", &json!({"title": "a"})),
            401,
            "",
        ),
        ("another's project", stranger.patch(&path, &json!({"title": "mine"})), 403, ""),
        ("a stale etag", owner.patch(&path, &json!({"title": "b", "etag": "stale"})), 409, ""),
        ("nobody's project", owner.get("/v1/projects/none"), 404, ""),
        ("an unknown path", owner.get("/v1/nothing"), 404, ""),
        ("another method", owner.send("PUT", &path, &[], ""), 405, ""),
        (
            "another type",
            owner.send("POST", "/v1/projects", &[("content-type", "text/plain")], "{}"),
            415,
            "",
        ),
    ] {
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert!(answer.json()["code"].as_u64().is_some(), "{what}: {answer:?}");
        if !field.is_empty() {
            let fields = answer.fields();
            let named =
                fields.iter().any(|named| named == field || named.ends_with(&format!(".{field}")));
            assert!(named, "{what} names {fields:?}: {answer:?}");
        }
    }
    let project = owner.get(&path).ok();
    assert_eq!(project["title"], "A bridge", "nothing was changed by halves");
}

#[test]
fn a_stale_etag_and_a_stranger_have_their_reasons() {
    let system = System::start();
    let (owner, stranger, path) = people(&system);
    assert_eq!(stranger.patch(&path, &json!({"title": "mine"})).reason(), "NOT_OWNER");
    let stale = owner.patch(&path, &json!({"title": "b", "etag": "stale"}));
    assert_eq!(stale.reason(), "ETAG_MISMATCH");
    let unauthenticated = system.client().post("/v1/projects", &json!({"title": "a"}));
    assert_eq!(unauthenticated.reason(), "TOKEN_MISSING");
    assert!(unauthenticated.header("www-authenticate").is_some());
}

/// Requests per route; all routes together stay below a minute.
const REQUESTS: usize = 1_000;

#[test]
fn random_requests_leave_no_fault_in_any_route() {
    let system = System::start();
    let (owner, _, path) = people(&system);
    let routes = routes(&system.client(), &path);
    assert!(routes.len() >= 20, "{routes:?}");
    let seed = 0x7117;
    let mut random = Random(seed);
    for (method, template) in routes {
        for _ in 0..REQUESTS {
            let path = random.path(&template);
            let body = random.body();
            let headers: &[(&str, &str)] = match random.below(8) {
                0 => &[],
                1 => &[("content-type", "text/plain")],
                _ => &[("content-type", "application/json")],
            };
            let answer = owner.send(&method, &path, headers, &body);
            // A deadline, an outage and an overload are no faults of the route.
            let fine =
                answer.status != 0 && (answer.status < 500 || matches!(answer.status, 503 | 504));
            assert!(fine, "{method} {path} {headers:?} {body}\n{answer:?}\nseed {seed}");
        }
    }
    assert_eq!(owner.get("/v1/projects").status, 200);
}

/// Every operation that the edge describes, on the project where there is one;
/// but nobody deletes it, or only 404 would be left to be tested.
fn routes(edge: &Client, project: &str) -> Vec<(String, String)> {
    let openapi = edge.get("/openapi.json").ok();
    let project = project.trim_start_matches("/v1/projects/");
    let mut routes = Vec::new();
    for (path, operations) in openapi["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let path = match method.as_str() {
                "delete" => path.clone(),
                "get" | "post" | "patch" | "put" => path.replace("{project}", project),
                _ => continue,
            };
            routes.push((method.to_uppercase(), path));
        }
    }
    routes
}

/// A generator that repeats (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    fn path(&mut self, template: &str) -> String {
        let mut path = String::new();
        for part in template.split_inclusive('}') {
            match part.split_once('{') {
                Some((literal, _)) => {
                    path.push_str(literal);
                    path.push_str(self.pick(&[
                        "me",
                        "1",
                        "a%2Fb",
                        "%00",
                        "..",
                        "%",
                        "a b".trim(),
                        "%F0%9F%A6%80",
                        "x:y",
                        "",
                    ]));
                }
                None => path.push_str(part),
            }
        }
        let path = path.replace(' ', "");
        match self.below(4) {
            0 => format!(
                "{path}?{}={}",
                self.pick(&["pageSize", "filter", "updateMask", "x", "etag", "validateOnly"]),
                self.pick(&[
                    "1",
                    "-1",
                    "a%20%3D%20b",
                    "title",
                    "%",
                    "true",
                    "99999999999999999999"
                ])
            ),
            _ => path,
        }
    }

    fn body(&mut self) -> String {
        let value = |random: &mut Self| {
            random.pick(&[
                "1",
                "-1.5e3",
                "\"a\"",
                "null",
                "[]",
                "{}",
                "true",
                "\"\\ud800\"",
                "[1,2",
                "\"2026-01-01T00:00:00Z\"",
                "{\"a\":{}}",
                "1e400",
            ])
        };
        match self.below(10) {
            0 => String::new(),
            1 => "[".repeat(1_000),
            2 => "{\"title\":".to_owned(),
            _ => {
                let fields: Vec<String> = (0..self.below(4))
                    .map(|_| {
                        let key = self.pick(&[
                            "title",
                            "description",
                            "etag",
                            "name",
                            "comment",
                            "email",
                            "password",
                            "displayName",
                            "preferences",
                            "roles",
                            "refreshToken",
                            "state",
                            "zzz",
                        ]);
                        format!("\"{key}\":{}", value(self))
                    })
                    .collect();
                format!("{{{}}}", fields.join(","))
            }
        }
    }
}
