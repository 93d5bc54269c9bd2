//! `titan explain`: the policy of a call as the mesh carries it out, and where
//! each part of it comes from.

mod edge;
pub(crate) mod http;
mod policy;
mod render;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::bail;
use mesh::{contract, reflection::STANDARD_SERVICES, validate::Requirement};
use prost_reflect::MethodDescriptor;
use serde_json::Value;

use crate::{
    args::Explain,
    call,
    output::{self, Colours},
    schema,
};

/// Prints what applies to calls of a method.
pub(crate) async fn run(data: &Path, options: &Explain) -> anyhow::Result<()> {
    let service = &options.method.service;
    if STANDARD_SERVICES.contains(&service.as_str()) {
        bail!("the mesh itself serves {service}, under no contract: anyone may call it");
    }
    let channel = call::channel(&call::address(data, options.address.as_deref())?)?;
    let report = Report::of(&schema::method(&channel, &options.method).await?)?;
    if options.json {
        output::print(serde_json::to_string_pretty(&render::json(&report))?);
    } else {
        for line in render::text(&report, Colours::of_stdout()) {
            output::print(line);
        }
    }
    Ok(())
}

/// Everything that applies to a method.
struct Report {
    /// `titan.projects.v1.ProjectsService/GetProject`
    method: String,
    streaming: &'static str,
    request: String,
    response: String,
    policy: Vec<Fact>,
    http: Vec<Fact>,
    rules: Vec<Fact>,
    limits: Vec<Fact>,
}

/// One thing that applies, and who says it.
struct Fact {
    name: String,
    value: Value,
    /// The value for people.
    text: String,
    source: String,
}

impl Report {
    fn of(method: &MethodDescriptor) -> anyhow::Result<Self> {
        let explanation = contract::explain(method)?;
        let stated_by = format!("method ({})", method.full_name());
        let bindings = http::bindings(method);
        let mut policy = policy::facts(&explanation, &stated_by);
        policy.extend(edge::facts(&explanation, &bindings, &stated_by));
        Ok(Self {
            method: format!("{}/{}", method.parent_service().full_name(), method.name()),
            streaming: streaming(&explanation.method),
            request: method.input().full_name().to_owned(),
            response: method.output().full_name().to_owned(),
            policy,
            http: http::facts(&bindings, &stated_by),
            rules: explanation.requirements.iter().map(rule).collect(),
            limits: contract::limits().iter().map(policy::limit).collect(),
        })
    }
}

fn streaming(method: &contract::Method) -> &'static str {
    match (method.client_streaming, method.server_streaming) {
        (false, false) => "unary",
        (false, true) => "server streaming",
        (true, false) => "client streaming",
        (true, true) => "bidirectional streaming",
    }
}

fn rule(requirement: &Requirement) -> Fact {
    let Requirement { field, stated_on, rule, text } = requirement;
    Fact {
        name: field.clone(),
        value: rule.as_str().into(),
        text: text.clone(),
        source: format!("contract ({stated_on})"),
    }
}
