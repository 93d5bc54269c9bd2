//! Between the wire and the domain: names, masks, messages, and the one table
//! from errors to codes.

use durable::time;
use mesh::{
    mask::Mask,
    status::{self, Violation, field, refuse, refuse_resource},
};
use prost_types::FieldMask;
use titan::projects::v1::{self as proto, project::State as WireState};
use tonic::{Code, Status};

use crate::{
    domain::{Project, ProjectId, Refusal, Revision, State, Title, TitleError},
    store::Error,
};

/// The project of a resource name. One that no project can bear is not found
/// either: the form of an id is nobody's business.
pub(super) fn id(name: &str) -> Result<ProjectId, Status> {
    ProjectId::parse(name).ok_or_else(|| not_found(name))
}

/// The project that an update is for.
pub(super) fn id_in_body(name: &str) -> Result<ProjectId, Status> {
    if name.is_empty() {
        let missing = field("project.name", "required", "must name the project to change");
        return Err(status::invalid(vec![missing]));
    }
    id(name)
}

/// The title of a new project.
pub(super) fn title(text: &str) -> Result<Title, Status> {
    Title::parse(text).map_err(|error| status::invalid(vec![bad_title(error)]))
}

fn bad_title(error: TitleError) -> Violation {
    let rule = match error {
        TitleError::Empty => "string.min_len",
        TitleError::TooLong => "string.max_len",
        TitleError::NotOneLine => "string.pattern",
    };
    field("project.title", rule, error.to_string())
}

/// What an update changes.
pub(super) fn revision(
    wanted: proto::Project,
    mask: Option<&FieldMask>,
) -> Result<Revision, Status> {
    let (mask, mut violations) = Mask::read(mask, &["title", "description"]);
    let title = mask.pick("title", wanted.title).map(|text| Title::parse(&text)).transpose();
    let title = title.map_err(|error| violations.push(bad_title(error))).unwrap_or_default();
    if !violations.is_empty() {
        return Err(status::invalid(violations));
    }
    Ok(Revision { title, description: mask.pick("description", wanted.description) })
}

impl From<&Project> for proto::Project {
    fn from(project: &Project) -> Self {
        let (state, archived) = match project.state {
            State::Active => (WireState::Active, None),
            State::Archived { at } => (WireState::Archived, Some(at)),
        };
        proto::Project {
            name: project.id.to_string(),
            title: project.title.as_str().to_owned(),
            description: project.description.clone(),
            owner: project.owner.to_string(),
            state: state.into(),
            create_time: Some(time::to_proto(project.created)),
            update_time: Some(time::to_proto(project.updated)),
            archive_time: archived.map(time::to_proto),
            etag: project.etag().to_string(),
        }
    }
}

fn not_found(name: &str) -> Status {
    let (reason, kind) = ("PROJECT_NOT_FOUND", "projects.titan/Project");
    refuse_resource(Code::NotFound, reason, kind, name, format!("there is no {name}"))
}

/// The table from errors to codes.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let refusal = match error {
            Error::NotFound(id) => return not_found(&id.to_string()),
            Error::Store(error) => return error.into(),
            Error::Refused(refusal) => refusal,
        };
        let (code, reason) = match refusal {
            Refusal::NotOwner => (Code::PermissionDenied, "NOT_OWNER"),
            Refusal::Archived => (Code::FailedPrecondition, "PROJECT_ARCHIVED"),
            Refusal::Stale => (Code::Aborted, "ETAG_MISMATCH"),
        };
        refuse(code, reason, refusal.to_string())
    }
}
