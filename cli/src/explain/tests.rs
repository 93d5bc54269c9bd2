//! Reports about a contract that is written here.

use std::{fs, path::Path};

use prost_reflect::DescriptorPool;

use super::*;

const CONTRACT: &str = r#"
syntax = "proto3";
package shop.v1;

import "buf/validate/validate.proto";
import "google/api/annotations.proto";
import "titan/mesh/v1/options.proto";

service OrdersService {
  option (titan.mesh.v1.defaults) = {
    deadline: {seconds: 5}
    access: {authenticated: true}
  };
  rpc GetOrder(Order) returns (Order) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = {
      get: "/v1/{name=orders/*}"
      additional_bindings: {post: "/v1/find", body: "*"}
    };
    option (titan.mesh.v1.policy) = {
      retry: {max_attempts: 3}
      hedge: {delay: {nanos: 50000000}}
      access: {public: true}
    };
  }
  rpc AddOrder(Order) returns (Order) {
    option (google.api.http) = {
      post: "/v1/orders"
      body: "*"
      additional_bindings: {get: "/v1/added/{name=orders/*}"}
    };
    option (titan.mesh.v1.policy) = {
      http: {form: true, cache: {private: true, max_age: {seconds: 60}}}
    };
  }
  rpc PlaceOrders(stream Order) returns (stream Order) {
    option (titan.mesh.v1.policy) = {deadline: {}};
  }
}

message Order {
  string name = 1 [(buf.validate.field).string.pattern = "^orders/[a-z]+$"];
}
"#;

fn report(method: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("shop.proto"), CONTRACT).unwrap();
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let mut compiler = protox::Compiler::new([folder.path(), &proto]).unwrap();
    compiler.include_imports(true).open_file("shop.proto").unwrap();
    let set = compiler.encode_file_descriptor_set();
    let pool = DescriptorPool::decode(set.as_slice()).unwrap();
    let service = pool.get_service_by_name("shop.v1.OrdersService").unwrap();
    Report::of(&service.methods().find(|it| it.name() == method).unwrap()).unwrap()
}

#[test]
fn every_line_tells_where_its_number_comes_from() {
    let lines = render::text(&report("GetOrder"), Colours::off());
    let limits = lines.iter().position(|line| line == "Limits").unwrap();
    let method = "method (shop.v1.OrdersService.GetOrder)";
    assert_eq!(
        lines[..limits].join("\n"),
        format!(
            "\
shop.v1.OrdersService/GetOrder
unary: shop.v1.Order -> shop.v1.Order

Policy
  deadline           5s                                             service default
  access             public: anyone                                 {method}
  criticality        CRITICAL                                       mesh default
  idempotency_level  NO_SIDE_EFFECTS: repeated when UNAVAILABLE     {method}
  max_attempts       3                                              {method}
  hedge              2 attempts, the next one elsewhere after 50ms  {method}
  initial_backoff    25ms                                           mesh default
  max_backoff        250ms                                          mesh default
  http.cache         private, no-cache: asked each time             mesh default

HTTP
  GET /v1/{{name=orders/*}}                 {method}
  POST /v1/find, the body is the request  {method}

Request
  name  must match regex pattern `^orders/[a-z]+$`  contract (shop.v1.Order.name)
"
        )
    );
    let limits = &lines[limits..];
    assert!(limits.iter().any(|line| {
        line.contains("4 MiB") && line.ends_with("mesh default, setting max_message_bytes")
    }));
}

#[test]
fn what_may_not_be_repeated_is_attempted_once_and_waits_for_nothing() {
    let report = report("PlaceOrders");
    assert_eq!(report.streaming, "bidirectional streaming");
    let told: Vec<_> =
        report.policy.iter().map(|fact| (fact.name.as_str(), fact.text.as_str())).collect();
    assert_eq!(
        told,
        [
            ("deadline", "none: a call may last"),
            ("access", "authenticated: any user"),
            ("criticality", "CRITICAL"),
            (
                "idempotency_level",
                "IDEMPOTENCY_UNKNOWN: not repeated once it may have been processed"
            ),
            ("max_attempts", "1"),
        ]
    );
    assert_eq!(report.policy[0].source, "method (shop.v1.OrdersService.PlaceOrders)");
    assert!(report.http.is_empty());
}

#[test]
fn what_is_said_of_http_is_a_part_of_the_policy() {
    let http = |method: &str| {
        let facts = report(method).policy.into_iter().filter(|fact| fact.name.starts_with("http."));
        facts.map(|fact| (fact.name, fact.value, fact.source)).collect::<Vec<_>>()
    };
    let stated = "method (shop.v1.OrdersService.AddOrder)".to_owned();
    let fact = |name: &str, value: &str, source: &str| {
        (name.to_owned(), Value::from(value), source.to_owned())
    };
    assert_eq!(
        http("AddOrder"),
        [fact("http.cache", "private, max-age=60", &stated), fact("http.form", "true", &stated),]
    );
    assert_eq!(http("GetOrder"), [fact("http.cache", "private, no-cache", "mesh default")]);
    assert!(http("PlaceOrders").is_empty());
}

#[test]
fn json_has_values_that_programs_read() {
    let json = render::json(&report("GetOrder"));
    assert_eq!(json["streaming"], "unary");
    assert_eq!(
        json["policy"]["deadline"],
        serde_json::json!({"value": "5s", "source": "service default"})
    );
    assert_eq!(json["policy"]["initial_backoff"]["value"], "0.025s");
    assert_eq!(json["policy"]["access"]["value"], serde_json::json!({"public": true}));
    assert_eq!(
        json["policy"]["hedge"]["value"],
        serde_json::json!({"max_attempts": 2, "delay": "0.05s"})
    );
    assert_eq!(json["http"][1]["value"], "POST /v1/find");
    assert_eq!(json["rules"][0]["rule"], "string.pattern");
    assert_eq!(json["limits"]["pick_timeout"]["value"], "2s");
}
