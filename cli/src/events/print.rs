//! Events and consumers as lines for people, or as JSON; payloads by the contracts
//! of the application itself.

use std::collections::HashMap;

use anyhow::Context as _;
use mesh::{Channel, proto::Event};
use prost::Name;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;

use crate::schema;

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

/// A message of the mesh's own contracts as JSON.
pub(super) fn json<M: prost::Message + Name>(message: &M) -> anyhow::Result<Value> {
    let pool = DescriptorPool::decode(mesh::DESCRIPTORS)?;
    let descriptor = pool.get_message_by_name(&M::full_name());
    let descriptor = descriptor.with_context(|| format!("no contract has {}", M::full_name()))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    Ok(serde_json::to_value(&dynamic)?)
}

/// An event as a line: `12  orders/7@3  titan.orders.v1.OrderPlaced  {…}`.
pub(super) fn line(event: &Event, json: &Value) -> String {
    let Event { position, stream, version, r#type, .. } = event;
    format!("{position}  {stream}@{version}  {}  {}", r#type, json["data"])
}

/// Rows in columns as wide as their widest cells.
pub(super) fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> Vec<String> {
    let mut all = vec![head.map(str::to_owned)];
    all.extend(rows);
    let widths: [usize; N] = std::array::from_fn(|column| {
        all.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cells() {
        let rows = vec![["projects".to_owned(), "7".to_owned()]];
        assert_eq!(table(["NAME", "LAG"], rows), ["NAME      LAG", "projects  7"]);
    }

    #[test]
    fn an_event_is_json_as_the_contract_has_it() {
        let event = Event { position: 7, stream: "a/1".to_owned(), ..Event::default() };
        let json = json(&event).unwrap();
        assert_eq!((&json["position"], &json["stream"]), (&"7".into(), &"a/1".into()));
    }
}
