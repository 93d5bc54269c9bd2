//! One encoded answer into the body of an HTTP response: all of it, or the field
//! that the rule names.

use super::{Binding, ResponseRule};
use crate::{error::WireError, options::WriteOptions, schema::MessageId};

impl Binding {
    /// Appends the JSON of an encoded answer. Where [`Binding::gives_http_body`],
    /// a client expects [`Binding::download`] instead.
    ///
    /// # Errors
    /// When the bytes are no such message, or it has no JSON: the service and its
    /// contract disagree. Nothing is appended then.
    pub fn response(
        &self,
        message: &[u8],
        options: &WriteOptions,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let output = MessageId(self.output);
        match &self.response {
            ResponseRule::Whole => self.schema.to_json(output, message, options, out),
            ResponseRule::Field(top) => {
                self.schema.field_to_json(output, &top.path, message, options, out)
            }
        }
    }
}
