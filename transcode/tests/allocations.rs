//! How often a conversion asks for memory: for its output, and hardly for
//! anything else. The allocator is counted for each thread, so that tests may run
//! beside each other.
#![allow(clippy::unwrap_used)]

#[path = "../benches/codec/resource.rs"]
mod resource;

use transcode::{MessageId, ReadOptions, Schema, WriteOptions};

/// For a new output: one, and another where it was guessed too small.
const MOST: u64 = 2;

struct Case {
    schema: Schema,
    message: MessageId,
    json: String,
    wire: Vec<u8>,
}

impl Case {
    fn new(message: &str, json: String) -> Case {
        let schema = Schema::compile(&resource::pool()).unwrap();
        let message = schema.message(message).unwrap();
        let mut case = Case { schema, message, json, wire: Vec::new() };
        let mut wire = Vec::new();
        case.read(&mut wire);
        case.wire = wire;
        case
    }

    fn read(&self, out: &mut Vec<u8>) {
        let json = self.json.as_bytes();
        self.schema.to_wire(self.message, json, &ReadOptions::default(), out).unwrap();
    }

    fn print(&self, out: &mut Vec<u8>) {
        self.schema.to_json(self.message, &self.wire, &WriteOptions::default(), out).unwrap();
    }
}

/// A resource of 400 bytes of JSON, and a page of 4 KB.
fn cases() -> [Case; 2] {
    [
        Case::new("bench.v1.Project", resource::project(7)),
        Case::new("bench.v1.ListProjectsResponse", resource::list(10)),
    ]
}

fn allocations(convert: impl FnOnce()) -> u64 {
    allocation_counter::measure(convert).count_total
}

#[test]
fn a_new_output_is_allocated_at_most_twice() {
    for case in cases() {
        let (mut wire, mut json) = (Vec::new(), Vec::new());
        let reading = allocations(|| case.read(&mut wire));
        let printing = allocations(|| case.print(&mut json));
        assert!((1..=MOST).contains(&reading), "{reading} to read {} bytes", case.json.len());
        assert!((1..=MOST).contains(&printing), "{printing} to print {} bytes", json.len());
        assert_eq!((&wire, json), (&case.wire, case.json.into_bytes()));
    }
}

#[test]
fn an_output_that_is_used_again_costs_no_allocation() {
    for case in cases() {
        let (mut wire, mut json) = (Vec::new(), Vec::new());
        case.read(&mut wire);
        case.print(&mut json);
        wire.clear();
        json.clear();
        assert_eq!(allocations(|| case.read(&mut wire)), 0, "to read");
        assert_eq!(allocations(|| case.print(&mut json)), 0, "to print");
    }
}
