//! From descriptors to a program: finds the rules in their options, and keeps of
//! each message only what a rule speaks about or what lies on the way to one.

mod field;
mod prune;

use std::collections::{HashMap, HashSet};

use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, MessageDescriptor, Value,
};

use super::{
    CompileError,
    plan::{self, Exclusive, Plan},
    rules::{Problem, settings, unsupported, wrong_type},
};

pub(super) fn compile(root: &MessageDescriptor) -> Result<Option<Plan>, CompileError> {
    let Some(options) = Options::find(root.parent_pool()) else {
        // Options of `buf.validate` cannot be written without its definition.
        return Ok(None);
    };
    let mut compiler = Compiler { options, drafts: Vec::new(), known: HashMap::new() };
    let root = compiler.message(root)?;
    Ok(prune::prune(compiler.drafts, root))
}

/// The extensions that carry rules.
struct Options {
    field: ExtensionDescriptor,
    oneof: ExtensionDescriptor,
    message: ExtensionDescriptor,
}

impl Options {
    fn find(pool: &DescriptorPool) -> Option<Self> {
        Some(Self {
            field: pool.get_extension_by_name("buf.validate.field")?,
            oneof: pool.get_extension_by_name("buf.validate.oneof")?,
            message: pool.get_extension_by_name("buf.validate.message")?,
        })
    }
}

/// The rules in `options`.
fn rules(options: &DynamicMessage, extension: &ExtensionDescriptor) -> Option<DynamicMessage> {
    if !options.has_extension(extension) {
        return None;
    }
    options.get_extension(extension).as_message().cloned()
}

/// A message with all of its fields, before it is known which of them matter.
struct Draft {
    fields: Vec<DraftField>,
    oneofs: Vec<DraftOneof>,
    exclusive: Vec<Exclusive>,
}

struct DraftField {
    /// `oneof` and positions are filled in when the others are known.
    field: plan::Field,
    /// Position in [`Draft::oneofs`].
    oneof: Option<usize>,
    /// Has rules of its own or takes part in a rule of its message.
    has_rules: bool,
}

struct DraftOneof {
    name: Box<str>,
    required: bool,
}

struct Compiler {
    options: Options,
    drafts: Vec<Draft>,
    /// Positions in `drafts` by full name.
    known: HashMap<String, usize>,
}

fn error(field: &str, problem: Problem) -> CompileError {
    CompileError { field: field.to_owned(), problem }
}

impl Compiler {
    /// Compiles a message unless that is done or under way already.
    fn message(&mut self, message: &MessageDescriptor) -> Result<usize, CompileError> {
        if let Some(&index) = self.known.get(message.full_name()) {
            return Ok(index);
        }
        let index = self.drafts.len();
        self.known.insert(message.full_name().to_owned(), index);
        self.drafts.push(Draft { fields: Vec::new(), oneofs: Vec::new(), exclusive: Vec::new() });
        self.refuse_extensions(message)?;

        let groups = self.groups(message)?;
        let grouped: HashSet<_> = groups.iter().flat_map(|group| &group.fields).cloned().collect();
        let mut descriptors: Vec<_> = message.fields().collect();
        descriptors.sort_by_key(prost_reflect::FieldDescriptor::number);

        let mut fields = Vec::with_capacity(descriptors.len());
        for descriptor in &descriptors {
            fields.push(self.field(descriptor, grouped.contains(descriptor.name()))?);
        }
        let position = |name: &String| descriptors.iter().position(|it| it.name() == name);
        let exclusive = groups.iter().map(|group| group.exclusive(position)).collect();
        let oneofs = self.oneofs(message)?;
        self.drafts[index] = Draft { fields, oneofs, exclusive };
        Ok(index)
    }

    fn oneofs(&self, message: &MessageDescriptor) -> Result<Vec<DraftOneof>, CompileError> {
        let compile = |oneof: prost_reflect::OneofDescriptor| {
            let mut required = false;
            if let Some(rules) = rules(&oneof.options(), &self.options.oneof) {
                let settings = settings(&rules).map_err(|it| error(oneof.full_name(), it))?;
                required = settings.iter().any(|(_, value)| value.as_bool() == Some(true));
            }
            Ok(DraftOneof { name: oneof.name().into(), required })
        };
        message.oneofs().map(compile).collect()
    }

    /// The rules of the message itself: fields that exclude each other.
    fn groups(&self, message: &MessageDescriptor) -> Result<Vec<Group>, CompileError> {
        let Some(rules) = rules(&message.options(), &self.options.message) else {
            return Ok(Vec::new());
        };
        let wrong = |problem| error(message.full_name(), problem);
        let mut groups = Vec::new();
        for (name, value) in settings(&rules).map_err(wrong)? {
            if name != "oneof" {
                return Err(wrong(unsupported(&name)));
            }
            for rule in value.as_list().unwrap_or_default() {
                groups.push(Group::read(rule, message).map_err(wrong)?);
            }
        }
        Ok(groups)
    }

    /// Extensions of messages are not walked, so that rules on them would be lost.
    fn refuse_extensions(&self, message: &MessageDescriptor) -> Result<(), CompileError> {
        match message.extensions().find(|it| it.options().has_extension(&self.options.field)) {
            Some(extension) => {
                Err(error(extension.full_name(), unsupported("a rule on an extension")))
            }
            None => Ok(()),
        }
    }
}

/// A `MessageOneofRule`.
struct Group {
    fields: Vec<String>,
    required: bool,
}

impl Group {
    fn read(rule: &Value, message: &MessageDescriptor) -> Result<Self, Problem> {
        let rule = rule.as_message().ok_or_else(|| wrong_type("oneof"))?;
        let mut group = Self { fields: Vec::new(), required: false };
        for (name, value) in settings(rule)? {
            match (name.as_str(), value) {
                ("required", Value::Bool(required)) => group.required = *required,
                ("fields", Value::List(names)) => {
                    group.fields.extend(names.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                _ => return Err(unsupported(&format!("oneof.{name}"))),
            }
        }
        if group.fields.is_empty() {
            return Err("`oneof` names no field".to_owned());
        }
        let mut seen = HashSet::new();
        for name in &group.fields {
            if message.get_field_by_name(name).is_none() {
                return Err(format!("`oneof` names `{name}`, which is not a field"));
            }
            if !seen.insert(name) {
                return Err(format!("`oneof` names `{name}` twice"));
            }
        }
        Ok(group)
    }

    fn exclusive(&self, position: impl Fn(&String) -> Option<usize>) -> Exclusive {
        let names = self.fields.join(", ");
        Exclusive {
            required: self.required,
            members: self.fields.iter().filter_map(position).collect(),
            too_many: format!("only one of {names} can be set").into(),
            none: format!("one of {names} must be set").into(),
        }
    }
}
