//! `google.protobuf.Any`: an object whose member `@type` says what the others
//! are. It mostly comes first; where it does not, the object is read twice.

use super::Reader;
use crate::{
    cursor::{Read, Text},
    error::Problem,
    program::{Program, Shape},
    wire,
};

/// The one message without fields that may, but need not, be given as `value`:
/// protobuf's own implementations differ in it.
const EMPTY: &str = "google.protobuf.Empty";

impl<'a> Reader<'a> {
    pub(super) fn any(&mut self, any: &'a Program) -> Read<()> {
        if self.json.peek() != b'{' {
            return Err(self.json.wants(Problem::WantsObject));
        }
        let start = self.json.at;
        let Some(type_url) = self.find_type()? else { return Ok(()) };
        let content = type_url.content();
        // `https://host/package.Type`: the host is no part of the name.
        let slash = content.iter().rposition(|byte| *byte == b'/');
        let name = slash.and_then(|slash| std::str::from_utf8(&content[slash + 1..]).ok());
        let programs = self.programs;
        let message = name.and_then(|name| programs.by_name.get(name));
        let Some(&message) = message else {
            return Err(self.fault_at(start, Problem::UnknownType));
        };
        self.out.extend_from_slice(any.fields[0].tag.bytes());
        wire::put_varint(self.out, content.len() as u64);
        self.out.extend_from_slice(&content);
        let before = self.out.len();
        self.out.extend_from_slice(any.fields[1].tag.bytes());
        let value = wire::open(self.out);
        let program = &programs.messages[message as usize];
        if program.shape == Shape::Object && &*program.name != EMPTY {
            self.object(program, true)?;
        } else {
            self.any_value(message, program)?;
        }
        if self.out.len() == value {
            self.out.truncate(before);
        } else {
            wire::close(self.out, value);
        }
        Ok(())
    }

    /// Finds `@type` and stays where it is; an object without members is an
    /// `Any` without content, over which it steps.
    fn find_type(&mut self) -> Read<Option<Text<'a>>> {
        let mut ahead = self.json.clone();
        ahead.at += 1;
        if ahead.is_empty(b'}') {
            self.json = ahead;
            return Ok(None);
        }
        let mut found = None;
        let depth = self.depth.saturating_sub(1);
        loop {
            ahead.space();
            let name = ahead.string()?;
            ahead.expect(b':')?;
            ahead.space();
            if &*name.content() == b"@type" {
                found = Some(ahead.string()?);
                break;
            }
            ahead.skip(depth)?;
            if !ahead.more(b'}')? {
                break;
            }
        }
        let searched = ahead.at - self.json.at;
        if self.searches < searched {
            return Err(self.json.fault(Problem::AnyLimit));
        }
        self.searches -= searched;
        match found {
            Some(type_url) => Ok(Some(type_url)),
            None => Err(self.json.fault(Problem::AnyWithoutType)),
        }
    }

    /// Reads an object with the members `@type` and `value`.
    fn any_value(&mut self, message: u32, program: &'a Program) -> Read<()> {
        let start = self.json.at;
        self.enter(b'{', Problem::WantsObject)?;
        let (mut types, mut values) = (0, 0);
        let mut more = !self.json.is_empty(b'}');
        while more {
            self.json.space();
            let at = self.json.at;
            let name = self.json.string()?.content();
            self.json.expect(b':')?;
            self.json.space();
            match &*name {
                b"@type" => {
                    types += 1;
                    self.json.string()?;
                }
                b"value" if values == 0 => {
                    values += 1;
                    self.count()?;
                    self.message(message)?;
                }
                b"value" => return Err(self.fault_at(at, Problem::Duplicate)),
                _ if self.ignore_unknown => self.json.skip(self.depth)?,
                _ => return Err(self.fault_at(at, Problem::UnknownField)),
            }
            if types > 1 {
                return Err(self.fault_at(at, Problem::Duplicate));
            }
            more = self.json.more(b'}')?;
        }
        self.leave();
        if values == 0 && &*program.name != EMPTY {
            return Err(self.fault_at(start, Problem::AnyWithoutValue));
        }
        Ok(())
    }
}
