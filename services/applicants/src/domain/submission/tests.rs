//! The rules of a submission, one sentence each.

use super::{super::ProjectId, *};
use uuid::Uuid;

fn at(seconds: i64) -> Micros {
    seconds * 1_000_000
}

fn title(text: &str, seconds: i64) -> Title {
    Title { text: text.into(), as_of: at(seconds) }
}

fn project() -> Project {
    let mut project = Project::unheard(ProjectId::named("projects/bridge"));
    project.hear_title(title("Bridge", 1));
    project
}

fn start(project: &Project, applicant: &str) -> Result<(Submission, Event), Refusal> {
    let id = SubmissionId::new(project.id.clone(), Uuid::from_u128(7));
    let (owner, applicant) = (UserId::new("olga"), UserId::new(applicant));
    Submission::start(id, project, owner, applicant, "Hello".into(), at(2))
}

fn submission() -> Submission {
    start(&project(), "ada").unwrap().0
}

fn by(user: &str) -> Intent {
    Intent { by: UserId::new(user), seen: None, at: at(5) }
}

#[test]
fn a_submission_starts_in_review_under_the_projects_title() {
    let (submission, event) = start(&project(), "ada").unwrap();
    assert_eq!(submission.status, Status::InReview);
    assert_eq!(submission.title, title("Bridge", 1));
    assert_eq!(event, Event::Started { applicant: UserId::new("ada"), at: at(2) });
}

#[test]
fn nobody_applies_for_what_is_closed_gone_or_their_own() {
    assert_eq!(start(&project(), "olga"), Err(Refusal::OwnProject));
    for (standing, refusal) in
        [(Standing::Archived, Refusal::ProjectArchived), (Standing::Deleted, Refusal::NoProject)]
    {
        let mut project = project();
        project.hear_standing(standing);
        assert_eq!(start(&project, "ada"), Err(refusal));
    }
}

#[test]
fn a_comment_can_be_read() {
    for (text, right) in [("", true), ("Ä\n\t😀\r\n", true), ("a\0b", false), ("\u{1b}[31m", false)]
    {
        assert_eq!(check_comment(text).is_ok(), right, "{text:?}");
    }
}

#[test]
fn only_the_projects_owner_approves() {
    for user in ["ada", "bob"] {
        let mut submission = submission();
        assert_eq!(submission.approve(&by(user)), Err(Refusal::NotProjectOwner));
        assert_eq!(submission, self::submission());
    }
}

#[test]
fn approving_twice_keeps_the_first_date_and_speaks_once() {
    let mut submission = submission();
    let olga = UserId::new("olga");
    assert_eq!(submission.approve(&by("olga")), Ok(Some(Event::Approved { by: olga.clone() })));
    let before = submission.clone();
    assert_eq!(submission.approve(&Intent { at: at(9), ..by("olga") }), Ok(None));
    assert_eq!(submission, before);
    assert_eq!(submission.status, Status::Approved { by: olga, at: at(5) });
}

#[test]
fn only_the_applicant_cancels() {
    for user in ["olga", "bob"] {
        let mut submission = submission();
        assert_eq!(submission.cancel(&by(user)), Err(Refusal::NotApplicant));
        assert_eq!(submission, self::submission());
    }
}

#[test]
fn cancelling_twice_keeps_the_first_date_and_speaks_once() {
    let mut submission = submission();
    assert_eq!(submission.cancel(&by("ada")), Ok(Some(Event::Cancelled)));
    let before = submission.clone();
    assert_eq!(submission.cancel(&Intent { at: at(9), ..by("ada") }), Ok(None));
    assert_eq!(submission, before);
    assert_eq!(submission.status, Status::Cancelled { at: at(5) });
}

#[test]
fn an_end_is_an_end() {
    let mut approved = submission();
    approved.approve(&by("olga")).unwrap();
    assert_eq!(approved.cancel(&by("ada")), Err(Refusal::Approved));
    assert_eq!(approved.void(at(9)), None);

    let mut cancelled = submission();
    cancelled.cancel(&by("ada")).unwrap();
    assert_eq!(cancelled.approve(&by("olga")), Err(Refusal::Cancelled));
    assert_eq!(cancelled.void(at(9)), None);
}

#[test]
fn a_submission_in_review_becomes_void() {
    let mut submission = submission();
    assert_eq!(submission.void(at(5)), Some(Event::Cancelled));
    assert_eq!(submission.status, Status::Cancelled { at: at(5) });
}

#[test]
fn a_newer_title_is_taken_over_and_an_older_one_is_not() {
    let mut submission = submission();
    let event = submission.retitle(&title("Tower", 3), 12, at(5));
    assert_eq!(event, Some(Event::Retitled { text: "Tower".into(), source: 12 }));
    let before = submission.clone();
    for old in [title("Bridge", 1), title("Castle", 2), title("Tower", 3)] {
        assert_eq!(submission.retitle(&old, 13, at(6)), None);
    }
    assert_eq!(submission, before);
}

#[test]
fn a_submission_that_has_ended_is_retitled_all_the_same() {
    let mut submission = submission();
    submission.cancel(&by("ada")).unwrap();
    assert!(submission.retitle(&title("Tower", 3), 12, at(6)).is_some());
    assert_eq!(submission.status, Status::Cancelled { at: at(5) });
}

#[test]
fn a_change_meant_for_another_state_is_refused() {
    let mut submission = submission();
    let seen = Some(submission.etag());
    submission.retitle(&title("Tower", 3), 12, at(4));
    let before = submission.clone();
    let approve = Intent { seen: seen.clone(), ..by("olga") };
    let cancel = Intent { seen, ..by("ada") };
    assert_eq!(submission.approve(&approve), Err(Refusal::Stale));
    assert_eq!(submission.cancel(&cancel), Err(Refusal::Stale));
    assert_eq!(submission, before);
}

#[test]
fn a_call_repeated_after_its_answer_was_lost_succeeds_with_its_old_etag() {
    let mut approved = submission();
    let approve = Intent { seen: Some(approved.etag()), ..by("olga") };
    approved.approve(&approve).unwrap();
    assert_eq!(approved.approve(&approve), Ok(None));

    let mut cancelled = submission();
    let cancel = Intent { seen: Some(cancelled.etag()), ..by("ada") };
    cancelled.cancel(&cancel).unwrap();
    assert_eq!(cancelled.cancel(&cancel), Ok(None));
}

#[test]
fn only_the_applicant_and_the_owner_are_involved() {
    let submission = submission();
    for (user, involved) in [("ada", true), ("olga", true), ("bob", false)] {
        assert_eq!(submission.involves(&UserId::new(user)), involved, "{user}");
    }
}
