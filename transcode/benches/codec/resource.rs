//! What is measured: a resource of 400 bytes of JSON, and a list of such of 4 KB.

use prost_reflect::DescriptorPool;

const PROTO: &str = r#"
syntax = "proto3";
package bench.v1;
import "google/protobuf/timestamp.proto";
message Project {
  enum State { STATE_UNSPECIFIED = 0; STATE_ACTIVE = 1; STATE_ARCHIVED = 2; }
  string name = 1;
  string title = 2;
  string description = 3;
  string owner = 4;
  State state = 5;
  google.protobuf.Timestamp create_time = 6;
  google.protobuf.Timestamp update_time = 7;
  string etag = 8;
  int64 views = 9;
  repeated string tags = 10;
}
message ListProjectsResponse {
  repeated Project projects = 1;
  string next_page_token = 2;
}
"#;

/// One resource.
pub(crate) fn project(at: usize) -> String {
    format!(
        r#"{{"name":"projects/orchard-{at:04}","title":"Orchard of old apples","description":"Forty trees on a slope above the river, pruned last in 2019; we look for two people who know grafting.","owner":"users/5f0c6a0e","state":"STATE_ACTIVE","createTime":"2026-03-01T09:15:00.250Z","updateTime":"2026-11-22T17:00:00Z","etag":"W-8c1f33","views":"1{at}23","tags":["fruit","outdoors"]}}"#
    )
}

/// A page of that many.
pub(crate) fn list(count: usize) -> String {
    let projects: Vec<String> = (0..count).map(project).collect();
    format!(r#"{{"projects":[{}],"nextPageToken":"CAoQAA"}}"#, projects.join(","))
}

/// The contract of both.
pub(crate) fn pool() -> DescriptorPool {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bench.proto"), PROTO).unwrap();
    let files = protox::compile(["bench.proto"], [folder.path()]).unwrap();
    DescriptorPool::from_file_descriptor_set(files).unwrap()
}
