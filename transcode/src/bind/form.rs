//! A form (`application/x-www-form-urlencoded`) as the body of a request: bound as
//! a query is, within what the rule's `body` names.

use super::{
    Binding, BodyRule, Step,
    parameter::{self, is_ignored},
    request::{Request, RequestOptions},
};
use crate::{error::Reason, query, violation::Findings};

impl Binding {
    /// Each field once, and none that the path gives, not even to say the same.
    pub(super) fn add_form(
        &self,
        request: &Request<'_>,
        options: &RequestOptions,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) {
        let Ok(form) = std::str::from_utf8(request.body) else {
            return findings.add("", Reason::InvalidValue, "a form is text in UTF-8");
        };
        let mut given = self.given.clone();
        let top = match &self.body {
            BodyRule::Field(top) => Some(top.step),
            BodyRule::None | BodyRule::Whole => None,
        };
        if let Some(step) = top {
            self.add_empty(step, out);
        }
        let within = top.map_or(Some(self.input), |step| parameter::within(self.programs(), step));
        query::each(form, options.form, findings, |name, value, findings| {
            let found = within.and_then(|at| parameter::resolve(self.programs(), at, &name));
            let added = match found {
                None if options.ignore_unknown_parameters || is_ignored(&name) => Ok(()),
                None => Err((Reason::UnknownField, "no such field in a form".to_owned())),
                Some(steps) => {
                    let steps: Vec<Step> = top.iter().chain(&*steps).copied().collect();
                    let free = self.not_of_path(&steps);
                    free.and_then(|()| self.give(&steps, &value, &mut given, out))
                }
            };
            if let Err((reason, description)) = added {
                findings.add(name, reason, description);
            }
        });
    }
}
