//! What a route may choose about its JSON, and how much of it is accepted.

/// Bounds on one text or message. A text that passes them costs time and memory
/// in proportion to its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest input in bytes; default 4 MiB, gRPC's own bound for a message.
    pub input: usize,
    /// Largest output in bytes; default 16 MiB: JSON is two to three times as
    /// long as the protobuf bytes that it says.
    pub output: usize,
    /// Deepest nesting of objects and arrays, or of messages, counted through
    /// `Struct`, `Value` and `Any`; default 100, as protobuf's own parsers have it.
    /// An object in a `Struct` counts thrice and a list twice, as they do on the
    /// wire: what is read here is not refused there.
    pub depth: usize,
    /// Most values in one text or message; default 1,000,000. An element of two
    /// bytes of JSON (`[[],[],…`) can become a message with all that it costs
    /// whoever decodes it.
    pub elements: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1 << 20;
        Limits { input: 4 * MIB, output: 16 * MIB, depth: 100, elements: 1_000_000 }
    }
}

/// How JSON is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Skip names that the message does not have, and enum values whose name is
    /// not known; default off: both are refused.
    pub ignore_unknown: bool,
    /// Bounds.
    pub limits: Limits,
}

/// How JSON is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// Print fields without presence that hold their default, empty lists and
    /// empty maps; default off, as ProtoJSON has it.
    pub defaults: bool,
    /// Name fields as the contract does instead of in lowerCamelCase.
    pub proto_names: bool,
    /// Print enum values by number.
    pub enum_numbers: bool,
    /// Bounds.
    pub limits: Limits,
}
