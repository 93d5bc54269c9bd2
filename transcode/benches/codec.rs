//! The codec beside what a service would do by hand, typed structs with serde and
//! prost, and beside prost-reflect: JSON to protobuf and back, on a resource of
//! 400 bytes and on a list of such of 4 KB.
#![allow(clippy::unwrap_used)]

#[path = "codec/resource.rs"]
mod resource;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use prost::Message;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde::{Deserialize, Serialize};
use transcode::{MessageId, ReadOptions, Schema, WriteOptions};

/// As a service writes it by hand: names in camelCase, what is empty left out,
/// times as text.
#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Project {
    #[prost(string, tag = "1")]
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[prost(string, tag = "3")]
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[prost(string, tag = "4")]
    #[serde(skip_serializing_if = "String::is_empty")]
    owner: String,
    #[prost(enumeration = "State", tag = "5")]
    #[serde(with = "state")]
    state: i32,
    #[prost(message, optional, tag = "6")]
    #[serde(with = "time")]
    create_time: Option<prost_types::Timestamp>,
    #[prost(message, optional, tag = "7")]
    #[serde(with = "time")]
    update_time: Option<prost_types::Timestamp>,
    #[prost(string, tag = "8")]
    #[serde(skip_serializing_if = "String::is_empty")]
    etag: String,
    #[prost(int64, tag = "9")]
    #[serde(with = "number")]
    views: i64,
    #[prost(string, repeated, tag = "10")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
}

#[derive(Clone, PartialEq, Message, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListProjectsResponse {
    #[prost(message, repeated, tag = "1")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    projects: Vec<Project>,
    #[prost(string, tag = "2")]
    #[serde(skip_serializing_if = "String::is_empty")]
    next_page_token: String,
}

#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    prost::Enumeration,
    Serialize,
    Deserialize,
)]
#[repr(i32)]
enum State {
    #[serde(rename = "STATE_UNSPECIFIED")]
    Unspecified = 0,
    #[serde(rename = "STATE_ACTIVE")]
    Active = 1,
    #[serde(rename = "STATE_ARCHIVED")]
    Archived = 2,
}

mod state {
    //! An enum by its name.
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(state: &i32, to: S) -> Result<S::Ok, S::Error> {
        super::State::try_from(*state).unwrap_or(super::State::Unspecified).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
        super::State::deserialize(from).map(|state| state as i32)
    }
}

mod number {
    //! An integer of 64 bits as a string.
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        <&str>::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

mod time {
    //! A timestamp as text, by prost-types.
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<prost_types::Timestamp>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => to.collect_str(time),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<prost_types::Timestamp>, D::Error> {
        let text = Option::<&str>::deserialize(from)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// One type and a text of it.
struct Case {
    name: &'static str,
    json: String,
    wire: Vec<u8>,
    message: MessageId,
    descriptor: MessageDescriptor,
}

fn by_hand<M: Message + Default + Serialize + for<'de> Deserialize<'de>>(
    c: &mut Criterion,
    case: &Case,
) {
    c.bench_function(&format!("{}/to_wire/serde+prost", case.name), |b| {
        b.iter(|| {
            let message: M = serde_json::from_slice(black_box(case.json.as_bytes())).unwrap();
            message.encode_to_vec()
        });
    });
    c.bench_function(&format!("{}/to_json/serde+prost", case.name), |b| {
        b.iter(|| {
            let message = M::decode(black_box(case.wire.as_slice())).unwrap();
            serde_json::to_vec(&message).unwrap()
        });
    });
}

fn reflected(c: &mut Criterion, case: &Case) {
    c.bench_function(&format!("{}/to_wire/prost-reflect", case.name), |b| {
        b.iter(|| {
            let mut json = serde_json::Deserializer::from_slice(black_box(case.json.as_bytes()));
            let message = DynamicMessage::deserialize(case.descriptor.clone(), &mut json).unwrap();
            message.encode_to_vec()
        });
    });
    c.bench_function(&format!("{}/to_json/prost-reflect", case.name), |b| {
        b.iter(|| {
            let wire = black_box(case.wire.as_slice());
            let message = DynamicMessage::decode(case.descriptor.clone(), wire).unwrap();
            serde_json::to_vec(&message).unwrap()
        });
    });
}

fn compiled(c: &mut Criterion, schema: &Schema, case: &Case) {
    let (read, write) = (ReadOptions::default(), WriteOptions::default());
    let mut out = Vec::new();
    c.bench_function(&format!("{}/to_wire/titan", case.name), |b| {
        b.iter(|| {
            out.clear();
            let json = black_box(case.json.as_bytes());
            schema.to_wire(case.message, json, &read, &mut out).unwrap();
            out.len()
        });
    });
    c.bench_function(&format!("{}/to_json/titan", case.name), |b| {
        b.iter(|| {
            out.clear();
            schema.to_json(case.message, black_box(&case.wire), &write, &mut out).unwrap();
            out.len()
        });
    });
}

fn codec(c: &mut Criterion) {
    let pool = resource::pool();
    let schema = Schema::compile(&pool).unwrap();
    let case = |name, message: &str, json: String| {
        let id = schema.message(message).unwrap();
        let mut wire = Vec::new();
        schema.to_wire(id, json.as_bytes(), &ReadOptions::default(), &mut wire).unwrap();
        let descriptor = pool.get_message_by_name(message).unwrap();
        Case { name, json, wire, message: id, descriptor }
    };
    let small = case("400B", "bench.v1.Project", resource::project(7));
    let large = case("4KB", "bench.v1.ListProjectsResponse", resource::list(10));
    // What is compared is the same on both sides.
    let typed: ListProjectsResponse = serde_json::from_str(&large.json).unwrap();
    assert_eq!(typed.encode_to_vec(), large.wire);
    assert_eq!(serde_json::to_string(&typed).unwrap(), large.json);

    by_hand::<Project>(c, &small);
    by_hand::<ListProjectsResponse>(c, &large);
    for case in [&small, &large] {
        reflected(c, case);
        compiled(c, &schema, case);
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
