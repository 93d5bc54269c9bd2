//! Messages of the mesh's own contracts as ProtoJSON.

use std::sync::LazyLock;

use anyhow::Context as _;
use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;

/// Read once: a list may have thousands of messages.
static CONTRACTS: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(mesh::DESCRIPTORS).expect("the mesh carries its own contracts")
});

/// A message as the contracts write it.
///
/// # Errors
/// A message that has no JSON, such as one with a time before the year 1.
pub(crate) fn json<M: Message + Name>(message: &M) -> anyhow::Result<Value> {
    let descriptor = CONTRACTS.get_message_by_name(&M::full_name());
    let descriptor = descriptor.with_context(|| format!("no contract has {}", M::full_name()))?;
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    Ok(serde_json::to_value(&dynamic)?)
}

#[cfg(test)]
mod tests {
    use mesh::proto::Event;

    use super::*;

    #[test]
    fn a_message_is_json_as_the_contract_has_it() {
        let event = Event { position: 7, stream: "a/1".to_owned(), ..Event::default() };
        let json = json(&event).unwrap();
        assert_eq!((&json["position"], &json["stream"]), (&"7".into(), &"a/1".into()));
    }
}
