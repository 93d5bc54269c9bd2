//! Events and consumers as lines for people, or as JSON; payloads by the contracts
//! of the application itself.

use std::collections::HashMap;

use mesh::{Channel, proto::Event};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::Value;

use crate::{json::json, schema};

/// Knows the types of an application's events, as far as they were asked for.
pub(super) struct Payloads {
    channel: Channel,
    known: HashMap<String, Option<MessageDescriptor>>,
}

impl Payloads {
    pub(super) fn new(channel: Channel) -> Self {
        Self { channel, known: HashMap::new() }
    }

    /// An event as JSON, its payload included. What no contract knows stays as it
    /// is stored, in base64.
    pub(super) async fn json(&mut self, event: &Event) -> anyhow::Result<Value> {
        let mut json = json(event)?;
        if let Some(descriptor) = self.of(&event.r#type).await {
            let payload = DynamicMessage::decode(descriptor, event.data.as_slice());
            if let Ok(payload) = payload {
                json["data"] = serde_json::to_value(&payload)?;
            }
        }
        Ok(json)
    }

    async fn of(&mut self, kind: &str) -> Option<MessageDescriptor> {
        if !self.known.contains_key(kind) {
            let found = schema::message(&self.channel, kind).await.ok();
            self.known.insert(kind.to_owned(), found);
        }
        self.known.get(kind).cloned().flatten()
    }
}

/// An event as a line: `12  orders/7@3  titan.orders.v1.OrderPlaced  {…}`.
pub(super) fn line(event: &Event, json: &Value) -> String {
    let Event { position, stream, version, r#type, .. } = event;
    format!("{position}  {stream}@{version}  {}  {}", r#type, json["data"])
}
