//! The story of the system by curl alone.

use std::process::Command;

use serde_json::Value;

use crate::{
    system::System,
    tools::{find, stdout},
};

struct Curl {
    program: std::path::PathBuf,
    edge: String,
}

impl Curl {
    fn call(&self, method: &str, path: &str, token: &str, body: &str) -> Value {
        let mut curl = Command::new(&self.program);
        curl.args([
            "-sS",
            "--fail-with-body",
            "-X",
            method,
            "-H",
            "content-type: application/json",
        ]);
        if !token.is_empty() {
            curl.arg("-H").arg(format!("authorization: Bearer {token}"));
        }
        if !body.is_empty() {
            curl.arg("-d").arg(body);
        }
        let answer = stdout(curl.arg(format!("http://{}{path}", self.edge)));
        serde_json::from_str(&answer).unwrap()
    }

    /// What a refusal says; curl itself tells by its exit code that it is one.
    fn refused(&self, path: &str, token: &str, body: &str) -> Value {
        let mut curl = Command::new(&self.program);
        curl.args(["-sS", "--fail-with-body", "-H", "content-type: application/json"]);
        curl.arg("-H").arg(format!("authorization: Bearer {token}")).arg("-d").arg(body);
        let output = curl.arg(format!("http://{}{path}", self.edge)).output().unwrap();
        assert_eq!(output.status.code(), Some(22), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn sign_up(&self, email: &str) -> String {
        let user = format!(r#"{{"email":"{email}","password":"correct horse","displayName":"A"}}"#);
        let user = self.call("POST", "/v1/users", "", &user);
        assert!(user["name"].as_str().unwrap().starts_with("users/"));
        assert_eq!(user["email"], email);
        let session = format!(r#"{{"email":"{email}","password":"correct horse"}}"#);
        let session = self.call("POST", "/v1/sessions", "", &session);
        assert!(session["refreshToken"].is_string() && session["expireTime"].is_string());
        session["accessToken"].as_str().unwrap().to_owned()
    }
}

#[test]
fn a_project_is_published_applied_for_approved_and_renamed() {
    let Some(program) = find("curl") else { return };
    let system = System::start();
    let curl = Curl { program, edge: system.edge() };

    let owner = curl.sign_up("owner@example.com");
    let applicant = curl.sign_up("applicant@example.com");
    let project = curl.call("POST", "/v1/projects", &owner, r#"{"title":"A bridge"}"#);
    let name = project["name"].as_str().unwrap();
    assert_eq!(project["state"], "STATE_ACTIVE");

    let submissions = format!("/v1/{name}/submissions");
    let submission = curl.call("POST", &submissions, &applicant, r#"{"comment":"Me!"}"#);
    assert_eq!(submission["projectTitle"], "A bridge");
    assert_eq!(submission["state"], "STATE_IN_REVIEW");
    let path = format!("/v1/{}", submission["name"].as_str().unwrap());
    let approved = curl.call("POST", &format!("{path}:approve"), &owner, "{}");
    assert_eq!(approved["state"], "STATE_APPROVED");

    curl.call("PATCH", &format!("/v1/{name}"), &owner, r#"{"title":"A longer bridge"}"#);
    let started = std::time::Instant::now();
    system.until("the submission has the new title", || {
        let submission = curl.call("GET", &path, &applicant, "");
        (submission["projectTitle"] == "A longer bridge").then_some(())
    });
    assert!(started.elapsed().as_secs_f64() < 1.0, "the title took {:?}", started.elapsed());

    let me = curl.call("GET", "/v1/applicants/me", &applicant, "");
    assert_eq!(me["submissionCount"], 1);
    let me = curl.call("GET", "/v1/users/me", &applicant, "");
    assert_eq!(me["email"], "applicant@example.com");
    let all = curl.call("GET", &submissions, &owner, "");
    assert_eq!(all["submissions"].as_array().unwrap().len(), 1);
}

#[test]
fn money_is_deposited_withdrawn_and_moved_and_every_statement_agrees() {
    let Some(program) = find("curl") else { return };
    let system = System::start();
    let curl = Curl { program, edge: system.edge() };
    let owner = curl.sign_up("owner@example.com");
    let open = || {
        let account = curl.call("POST", "/v1/accounts", &owner, r#"{"currencyCode":"EUR"}"#);
        account["name"].as_str().unwrap().to_owned()
    };
    let (current, savings) = (open(), open());
    let euros =
        |units: i64| format!(r#"{{"amount":{{"currencyCode":"EUR","minorUnits":"{units}"}}}}"#);
    let verb = |account: &str, verb: &str| format!("/v1/{account}:{verb}");
    curl.call("POST", &verb(&current, "deposit"), &owner, &euros(10_000));
    let after = curl.call("POST", &verb(&current, "withdraw"), &owner, &euros(2_500));
    assert_eq!(after["balance"]["minorUnits"], "7500");
    let overdrawn = curl.refused(&verb(&current, "withdraw"), &owner, &euros(7_501));
    assert_eq!(overdrawn["details"][0]["reason"], "INSUFFICIENT_FUNDS", "{overdrawn}");
    let nobody = curl.refused(&verb("accounts/none", "deposit"), &owner, &euros(1));
    assert_eq!(nobody["code"], 5, "{nobody}");

    let transfer = |id: &str, units: i64| {
        let body = format!(
            r#"{{"source":"{current}","destination":"{savings}",
                "amount":{{"currencyCode":"EUR","minorUnits":"{units}"}}}}"#
        );
        let path = format!("/v1/transfers?transfer_id={id}");
        curl.call("POST", &path, &owner, &body);
        // Repeated, it is the same one.
        curl.call("POST", &path, &owner, &body);
        system.until("the transfer has ended", || {
            let transfer = curl.call("GET", &format!("/v1/transfers/{id}"), &owner, "");
            let state = transfer["state"].as_str().unwrap().to_owned();
            ["STATE_COMPLETED", "STATE_FAILED"].contains(&&*state).then_some(state)
        })
    };
    assert_eq!(transfer("to-savings", 3_000), "STATE_COMPLETED");
    assert_eq!(transfer("too-much", 4_501), "STATE_FAILED");
    let balance = |account: &str, at: &str| {
        let account = curl.call("GET", &format!("/v1/{account}{at}"), &owner, "");
        account["balance"]["minorUnits"].as_str().unwrap_or("0").to_owned()
    };
    assert_eq!((balance(&current, ""), balance(&savings, "")), ("4500".into(), "3000".into()));

    // The newest line first, each with what was there after it.
    let statement = system.until("the statement is whole", || {
        let path = format!("/v1/{current}/entries");
        let entries = curl.call("GET", &path, &owner, "")["entries"].as_array().cloned()?;
        (entries.len() == 3).then_some(entries)
    });
    let balances: Vec<_> =
        statement.iter().map(|entry| entry["balance"]["minorUnits"].as_str().unwrap()).collect();
    assert_eq!(balances, ["4500", "7500", "10000"]);
    for entry in &statement {
        let then = format!("?read_time={}", entry["createTime"].as_str().unwrap());
        assert_eq!(balance(&current, &then), entry["balance"]["minorUnits"].as_str().unwrap());
    }
    let stranger = curl.sign_up("stranger@example.com");
    let refused = curl.refused(&verb(&current, "withdraw"), &stranger, &euros(1));
    assert_eq!(refused["details"][0]["reason"], "NOT_OWNER", "{refused}");
}

#[test]
fn the_edge_describes_itself() {
    let system = System::start();
    let client = system.client();
    let openapi = client.get("/openapi.json").ok();
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(openapi["paths"]["/v1/projects"]["post"].is_object());
    assert_eq!(client.get("/docs").status, 200);
    let discovery = client.get("/.well-known/openid-configuration").ok();
    assert!(discovery["jwks_uri"].is_string());
    let keys = client.get("/.well-known/jwks.json").ok();
    assert_eq!(keys["keys"][0]["alg"], "EdDSA");
}
