//! Leaves out of a program what no rule can be reached through.

use super::{
    super::plan::{Check, Exclusive, Field, Message, NEAR, Oneof, Plan, Shape},
    Draft, DraftField,
};

/// `None` when nothing is left of the root.
pub(super) fn prune(drafts: Vec<Draft>, root: usize) -> Option<Plan> {
    let matters = reachable(&drafts);
    if !matters[root] {
        return None;
    }
    let messages = drafts.into_iter().map(|draft| finish(draft, &matters)).collect();
    Some(Plan { messages, root })
}

/// For each message whether it has rules or contains a message that has.
/// Messages may contain themselves, so this goes on until nothing changes.
fn reachable(drafts: &[Draft]) -> Vec<bool> {
    let mut matters = vec![false; drafts.len()];
    loop {
        let next: Vec<_> = drafts
            .iter()
            .map(|draft| {
                draft.oneofs.iter().any(|oneof| oneof.required)
                    || draft.fields.iter().any(|field| field.matters(&matters))
            })
            .collect();
        if next == matters {
            return matters;
        }
        matters = next;
    }
}

impl DraftField {
    fn matters(&self, messages: &[bool]) -> bool {
        let leads_on = |check: &Check| matches!(check, Check::Message(index) if messages[*index]);
        self.has_rules
            || match &self.field.shape {
                Shape::One(value) => leads_on(&value.check),
                Shape::List(list) => leads_on(&list.item.check),
                Shape::Map(map) => leads_on(&map.value.check),
            }
    }
}

fn finish(draft: Draft, matters: &[bool]) -> Message {
    // All members of a oneof are followed, since each of them unsets the others.
    let followed: Vec<_> = draft
        .oneofs
        .iter()
        .enumerate()
        .map(|(index, oneof)| {
            let mut members = draft.fields.iter().filter(|field| field.oneof == Some(index));
            oneof.required || members.any(|field| field.matters(matters))
        })
        .collect();
    let in_oneof = |field: &DraftField| field.oneof.is_some_and(|oneof| followed[oneof]);
    let kept: Vec<_> =
        draft.fields.iter().map(|field| field.matters(matters) || in_oneof(field)).collect();
    // Positions among the fields that are kept.
    let moved = |index: usize| kept[..index].iter().filter(|kept| **kept).count();

    let oneofs = draft.oneofs.iter().enumerate().map(|(index, oneof)| Oneof {
        name: oneof.name.clone(),
        required: oneof.required,
        members: (0..draft.fields.len())
            .filter(|&at| kept[at] && draft.fields[at].oneof == Some(index))
            .map(moved)
            .collect(),
    });
    let oneofs = oneofs.collect();
    let exclusive = draft.exclusive.into_iter().map(|group| Exclusive {
        members: group.members.iter().map(|&index| moved(index)).collect(),
        ..group
    });
    let exclusive = exclusive.collect();
    let fields = draft.fields.into_iter().zip(&kept).filter(|(_, kept)| **kept);
    let fields: Box<[_]> = fields.map(|(field, _)| silence(field, matters)).collect();
    Message { near: near(&fields), fields, oneofs, exclusive }
}

/// A message without rules is passed over even where its field is followed.
fn silence(draft: DraftField, matters: &[bool]) -> Field {
    let mut field = Field { oneof: draft.oneof, ..draft.field };
    let check = match &mut field.shape {
        Shape::One(value) => &mut value.check,
        Shape::List(list) => &mut list.item.check,
        Shape::Map(map) => &mut map.value.check,
    };
    if matches!(check, Check::Message(index) if !matters[*index]) {
        *check = Check::Nothing;
    }
    field
}

fn near(fields: &[Field]) -> Box<[Option<u16>]> {
    let count = fields.iter().map(|field| field.number).filter(|&it| it <= NEAR).max();
    let mut near = vec![None; count.map_or(0, |count| count as usize + 1)];
    for (index, field) in fields.iter().enumerate() {
        if let Some(slot) = near.get_mut(field.number as usize) {
            *slot = u16::try_from(index).ok();
        }
    }
    near.into()
}
