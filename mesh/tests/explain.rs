//! `mesh::contract::explain`: where each part of a method's policy comes from.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{path::Path, time::Duration};

use mesh::{
    Criticality,
    contract::{self, Contracts, Explanation, Idempotency, Source},
};
use prost_reflect::DescriptorPool;

const HEADER: &str = r#"
syntax = "proto3";
package shop.v1;
import "buf/validate/validate.proto";
import "titan/mesh/v1/options.proto";
message Order {
  string name = 1 [(buf.validate.field).string.min_len = 1];
}
"#;

const METHODS: &str = r#"
service OrdersService {
  option (titan.mesh.v1.defaults) = {
    deadline: {seconds: 5}
    access: {authenticated: true}
    criticality: CRITICALITY_SHEDDABLE
    retry: {max_attempts: 4, initial_backoff: {nanos: 1000000}}
  };
  rpc Silent(Order) returns (Order);
  rpc Own(Order) returns (Order) {
    option idempotency_level = IDEMPOTENT;
    option (titan.mesh.v1.policy) = {
      deadline: {seconds: 1}
      access: {public: true}
      criticality: CRITICALITY_CRITICAL_PLUS
      retry: {max_backoff: {seconds: 1}}
    };
  }
  rpc Lasting(Order) returns (stream Order) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (titan.mesh.v1.policy) = {deadline: {}};
  }
  rpc Hedged(Order) returns (Order) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (titan.mesh.v1.policy) = {hedge: {}};
  }
  rpc Keyed(Order) returns (Order) {
    option (titan.mesh.v1.policy) = {hash_key: {field: "name"}};
  }
}
service BareService {
  rpc Silent(Order) returns (Order);
}
"#;

fn compile(contract: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("shop.proto"), contract).unwrap();
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
    let mut compiler = protox::Compiler::new([folder.path(), &proto]).unwrap();
    compiler.include_imports(true).open_file("shop.proto").unwrap();
    compiler.encode_file_descriptor_set()
}

/// As somebody who has nothing but the server's descriptors.
fn explain(service: &str, method: &str) -> Explanation {
    let set = compile(&format!("{HEADER}{METHODS}"));
    let pool = DescriptorPool::decode(set.as_slice()).unwrap();
    let service = pool.get_service_by_name(&format!("shop.v1.{service}")).unwrap();
    contract::explain(&service.methods().find(|it| it.name() == method).unwrap()).unwrap()
}

#[test]
fn what_a_method_says_is_its_own() {
    let Explanation { method, sources, .. } = explain("OrdersService", "Own");
    assert_eq!((method.deadline, sources.deadline), (Some(Duration::from_secs(1)), Source::Method));
    assert_eq!((method.access.public, sources.access), (true, Source::Method));
    let criticality = (method.criticality, sources.criticality);
    assert_eq!(criticality, (Criticality::CriticalPlus, Source::Method));
    assert_eq!(
        (method.idempotency, sources.idempotency),
        (Idempotency::Idempotent, Source::Method)
    );
    assert_eq!(
        (method.retry.max_backoff, sources.max_backoff),
        (Duration::from_secs(1), Source::Method)
    );
}

#[test]
fn a_method_with_a_retry_of_its_own_takes_the_rest_of_it_from_the_mesh() {
    let explanation = explain("OrdersService", "Own");
    assert_eq!(explanation.attempts(), (2, Source::Mesh), "not the service's four");
    assert_eq!(explanation.method.retry.initial_backoff, Duration::from_millis(25));
    assert_eq!(explanation.sources.initial_backoff, Source::Mesh);
}

#[test]
fn what_a_method_does_not_say_comes_from_its_service() {
    let Explanation { method, sources, .. } = explain("OrdersService", "Silent");
    assert_eq!(
        (method.deadline, sources.deadline),
        (Some(Duration::from_secs(5)), Source::Service)
    );
    assert_eq!((method.access.authenticated, sources.access), (true, Source::Service));
    let criticality = (method.criticality, sources.criticality);
    assert_eq!(criticality, (Criticality::Sheddable, Source::Service));
    assert_eq!((method.retry.max_attempts, sources.max_attempts), (4, Source::Service));
    assert_eq!(sources.initial_backoff, Source::Service);
    assert_eq!(sources.max_backoff, Source::Mesh);
}

#[test]
fn what_nobody_says_is_the_meshs() {
    let Explanation { method, sources, .. } = explain("BareService", "Silent");
    assert_eq!((method.deadline, sources.deadline), (None, Source::Mesh));
    assert_eq!((method.access, sources.access), (contract::Access::default(), Source::Mesh));
    assert_eq!((method.criticality, sources.criticality), (Criticality::Critical, Source::Mesh));
    assert_eq!(sources.idempotency, Source::Mesh);
    assert_eq!((method.retry, sources.max_attempts), (contract::Retry::default(), Source::Mesh));
}

#[test]
fn the_key_of_a_method_is_told_and_a_key_that_does_not_exist_is_refused() {
    let Explanation { method, sources, .. } = explain("OrdersService", "Keyed");
    assert_eq!(method.hash_key.unwrap().to_string(), "field name");
    assert_eq!(sources.hash_key, Source::Method);
    let none = explain("OrdersService", "Own");
    assert_eq!((none.method.hash_key, none.sources.hash_key), (None, Source::Mesh));
    for key in ["field: \"nobody\"", "header: \"Not-Lower\"", ""] {
        let wrong = METHODS.replace("field: \"name\"", key);
        let set = compile(&format!("{HEADER}{wrong}"));
        let refused = Contracts::load(&[&set]);
        let policy = matches!(&refused, Err(contract::ContractError::Policy { method, .. })
            if method == "/shop.v1.OrdersService/Keyed");
        assert!(policy, "{key:?}: {refused:?}");
    }
}

#[test]
fn a_hedge_is_told_with_its_defaults() {
    let Explanation { method, sources, .. } = explain("OrdersService", "Hedged");
    assert_eq!(method.hedge, Some(contract::Hedge { max_attempts: 2, delay: None }));
    assert_eq!(sources.hedge, Source::Method);
    let none = explain("OrdersService", "Own");
    assert_eq!((none.method.hedge, none.sources.hedge), (None, Source::Mesh));
}

#[test]
fn a_service_hedges_those_of_its_methods_that_can_be() {
    let all = METHODS.replace("criticality: CRITICALITY_SHEDDABLE\n", "hedge: {max_attempts: 3}\n");
    let all = all.replace("{hedge: {}}", "{hedge: {max_attempts: 1}}");
    let set = compile(&format!("{HEADER}{all}"));
    let contracts = Contracts::load(&[&set]).unwrap();
    let of =
        |name: &str| contracts.method(&format!("/shop.v1.OrdersService/{name}")).unwrap().hedge;
    assert_eq!(of("Own"), Some(contract::Hedge { max_attempts: 3, delay: None }));
    // Not idempotent, streams, forbids it.
    assert_eq!([of("Silent"), of("Lasting"), of("Hedged")], [None; 3]);
}

#[test]
fn a_hedge_that_cannot_be_is_refused() {
    for (method, hedge) in [
        ("Keyed(Order) returns (Order) {\n", "{}"),
        ("Hedged(stream Order) returns (Order) {\n", "{}"),
        ("Hedged(Order) returns (stream Order) {\n", "{}"),
        ("Hedged(Order) returns (Order) {\n", "{max_attempts: 4}"),
        ("Hedged(Order) returns (Order) {\n", "{delay: {}}"),
        ("Hedged(Order) returns (Order) {\n", "{delay: {seconds: -1}}"),
    ] {
        let name = method.split('(').next().unwrap();
        let wrong = METHODS
            .replace("{hash_key: {field: \"name\"}}", "{}")
            .replace(&format!("{name}(Order) returns (Order) {{\n"), method)
            .replace("policy) = {hedge: {}}", "policy) = {}");
        let at = wrong.find(method).unwrap();
        let (before, after) = wrong.split_at(at);
        let after = after.replacen("policy) = {}", &format!("policy) = {{hedge: {hedge}}}"), 1);
        let set = compile(&format!("{HEADER}{before}{after}"));
        let refused = Contracts::load(&[&set]);
        let policy = matches!(&refused, Err(contract::ContractError::Policy { method, .. })
            if *method == format!("/shop.v1.OrdersService/{name}"));
        assert!(policy, "{method} {hedge}: {refused:?}");
    }
}

#[test]
fn a_method_that_promises_nothing_is_attempted_once() {
    assert_eq!(explain("OrdersService", "Silent").attempts(), (1, Source::Mesh));
    assert_eq!(explain("OrdersService", "Lasting").attempts(), (4, Source::Service));
}

#[test]
fn a_deadline_of_zero_is_said_by_the_method() {
    let Explanation { method, sources, .. } = explain("OrdersService", "Lasting");
    assert_eq!((method.deadline, sources.deadline), (None, Source::Method));
}

#[test]
fn what_is_explained_is_what_runs() {
    let set = compile(&format!("{HEADER}{METHODS}"));
    let contracts = Contracts::load(&[&set]).unwrap();
    for (service, name) in
        [("OrdersService", "Silent"), ("OrdersService", "Own"), ("BareService", "Silent")]
    {
        let explained = explain(service, name).method;
        let runs = contracts.method(&explained.path).unwrap();
        assert_eq!(
            (explained.deadline, explained.retry, &explained.access, explained.criticality),
            (runs.deadline, runs.retry, &runs.access, runs.criticality)
        );
    }
}

#[test]
fn the_rules_of_the_request_are_told() {
    let requirements = explain("BareService", "Silent").requirements;
    assert_eq!(requirements.len(), 1);
    assert_eq!(requirements[0].field, "name");
    assert_eq!(requirements[0].stated_on, "shop.v1.Order.name");
    assert_eq!(requirements[0].rule, "string.min_len");
}

/// A server may have another idea of the option, since its descriptors come with
/// its own definition.
#[test]
fn a_policy_of_another_shape_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let written = r#"
        syntax = "proto3";
        package titan.mesh.v1;
        import "google/protobuf/descriptor.proto";
        extend google.protobuf.MethodOptions { string policy = 50902; }
        message Nothing {}
        service Other {
          rpc Do(Nothing) returns (Nothing) { option (titan.mesh.v1.policy) = "x"; }
        }
    "#;
    std::fs::write(folder.path().join("other.proto"), written).unwrap();
    let mut compiler = protox::Compiler::new([folder.path()]).unwrap();
    compiler.include_imports(true).open_file("other.proto").unwrap();
    let pool = DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).unwrap();
    let service = pool.get_service_by_name("titan.mesh.v1.Other").unwrap();
    let refused = contract::explain(&service.methods().next().unwrap());
    assert!(matches!(refused, Err(contract::ContractError::Policy { .. })), "{refused:?}");
}
