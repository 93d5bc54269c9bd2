//! `google.protobuf.Any`: the message within it, with its type as `@type`.

use super::{Printer, Written};
use crate::{
    error::WireProblem,
    program::{Shape, WireType},
    wire::Wire,
};

impl Printer<'_> {
    pub(super) fn any(&mut self, mut wire: Wire<'_>) -> Written {
        let whole = wire;
        let (mut type_url, mut content) = (Wire::new(&[]), Wire::new(&[]));
        while !wire.is_done() {
            let key = wire.key()?;
            match (key.number, key.wire_type) {
                (1, WireType::Length) => type_url = wire.length()?,
                (2, WireType::Length) => content = wire.length()?,
                _ => wire.skip(key)?,
            }
        }
        if type_url.bytes.is_empty() && content.bytes.is_empty() {
            self.out.extend_from_slice(b"{}");
            return Ok(());
        }
        let name = std::str::from_utf8(type_url.bytes).ok();
        let name = name.and_then(|name| name.rsplit_once('/')).map(|(_, name)| name);
        let programs = self.programs;
        let message = name.and_then(|name| programs.by_name.get(name));
        let Some(&message) = message else {
            return Err(whole.fault(WireProblem::UnknownType).into());
        };
        self.out.extend_from_slice(b"{\"@type\":");
        self.put_string(type_url)?;
        let program = &programs.messages[message as usize];
        if program.shape == Shape::Object {
            self.in_order(program, content, |printer, wire| printer.fields(program, wire, false))?;
        } else {
            self.out.extend_from_slice(b",\"value\":");
            self.message(message, content)?;
        }
        self.out.push(b'}');
        Ok(())
    }
}
