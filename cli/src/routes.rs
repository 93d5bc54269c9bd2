//! `titan routes`: which requests over HTTP lead to which methods. The edge is
//! asked by reflection, so what is shown is what it serves at this moment.

use std::path::Path;

use prost_reflect::ServiceDescriptor;
use serde_json::json;

use crate::{args::Routes, call, explain::http, output, schema};

/// Prints what an edge serves.
pub(crate) async fn run(data: &Path, options: &Routes) -> anyhow::Result<()> {
    let channel = call::channel(&call::address(data, options.address.as_deref())?)?;
    let rows = rows(&schema::services(&channel).await?);
    if options.json {
        output::print(serde_json::to_string_pretty(&json(&rows))?);
    } else {
        for line in table(&rows) {
            output::print(line);
        }
    }
    Ok(())
}

/// One binding.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    path: String,
    method: String,
    rpc: String,
}

/// By path, then by method.
fn rows(services: &[ServiceDescriptor]) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for method in services.iter().flat_map(|service| service.methods().collect::<Vec<_>>()) {
        let rpc = format!("{}/{}", method.parent_service().full_name(), method.name());
        let bindings = http::bindings(&method).into_iter();
        rows.extend(bindings.map(|binding| Row {
            path: binding.path,
            method: binding.verb,
            rpc: rpc.clone(),
        }));
    }
    rows.sort();
    rows
}

fn json(rows: &[Row]) -> serde_json::Value {
    let row = |Row { path, method, rpc }: &Row| json!({"method": method, "path": path, "rpc": rpc});
    rows.iter().map(row).collect()
}

fn table(rows: &[Row]) -> Vec<String> {
    let width = |of: fn(&Row) -> &str| {
        rows.iter().map(|row| of(row).chars().count()).max().unwrap_or_default()
    };
    let (method, path) = (width(|row| &row.method), width(|row| &row.path));
    let line = |row: &Row| format!("{:method$}  {:path$}  {}", row.method, row.path, row.rpc);
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = r#"
        syntax = "proto3";
        package shop.v1;
        import "google/api/annotations.proto";
        message Order { string name = 1; }
        service OrdersService {
          rpc GetOrder(Order) returns (Order) {
            option (google.api.http) = {
              get: "/v1/{name=orders/*}"
              additional_bindings: {custom: {kind: "LINK" path: "/v1/a"}}
            };
          }
          rpc DeleteOrder(Order) returns (Order) {
            option (google.api.http) = {delete: "/v1/{name=orders/*}"};
          }
          rpc WatchOrders(Order) returns (stream Order);
        }"#;

    #[test]
    fn every_binding_is_a_row_in_the_order_of_the_paths() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("shop.proto"), CONTRACT).unwrap();
        let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto");
        let mut compiler = protox::Compiler::new([folder.path(), &proto]).unwrap();
        compiler.include_imports(true).open_file("shop.proto").unwrap();
        let rows = rows(&compiler.descriptor_pool().services().collect::<Vec<_>>());
        let lines: Vec<String> = table(&rows);
        assert_eq!(
            lines,
            [
                "LINK    /v1/a                shop.v1.OrdersService/GetOrder",
                "DELETE  /v1/{name=orders/*}  shop.v1.OrdersService/DeleteOrder",
                "GET     /v1/{name=orders/*}  shop.v1.OrdersService/GetOrder",
            ]
        );
        let first =
            json!({"method": "LINK", "path": "/v1/a", "rpc": "shop.v1.OrdersService/GetOrder"});
        assert_eq!(json(&rows)[0], first);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |method: &str, path: &str| Row {
            path: path.to_owned(),
            method: method.to_owned(),
            rpc: "a.B/C".to_owned(),
        };
        let lines = table(&[row("GET", "/v1/a"), row("DELETE", "/v1/{b}")]);
        assert_eq!(lines, ["GET     /v1/a    a.B/C", "DELETE  /v1/{b}  a.B/C"]);
        assert!(table(&[]).is_empty());
    }
}
