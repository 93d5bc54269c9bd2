//! A small REST client for what journeys do often; the real ones are used where
//! it matters what a client makes of an answer.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};

/// Of every user in a journey.
pub const PASSWORD: &str = "correct horse battery";

/// Calls an edge, for a user or for nobody.
#[derive(Clone)]
pub struct Client {
    address: String,
    token: Option<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(has, _)| has.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body of a success.
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// `ErrorInfo.reason`.
    pub fn reason(&self) -> String {
        let details = self.json()["details"].as_array().cloned().unwrap_or_default();
        let info = details.iter().find(|detail| detail["reason"].is_string());
        info.map(|info| info["reason"].as_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// Paths of the fields at fault.
    pub fn fields(&self) -> Vec<String> {
        let details = self.json()["details"].as_array().cloned().unwrap_or_default();
        let violations = details.iter().filter_map(|detail| detail["fieldViolations"].as_array());
        let fields = violations.flatten().map(|violation| violation["field"].as_str().unwrap());
        fields.map(str::to_owned).collect()
    }
}

impl Client {
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), token: None }
    }

    pub fn with_token(&self, token: &str) -> Self {
        Self { address: self.address.clone(), token: Some(token.to_owned()) }
    }

    /// Registers a user and signs them in.
    pub fn sign_up(&self, email: &str) -> Self {
        self.post("/v1/users", &json!({"email": email, "password": PASSWORD})).ok();
        self.sign_in(email)
    }

    /// Signs in a user who is registered.
    pub fn sign_in(&self, email: &str) -> Self {
        let session =
            self.post("/v1/sessions", &json!({"email": email, "password": PASSWORD})).ok();
        self.with_token(session["accessToken"].as_str().unwrap())
    }

    /// The user's access token.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], &body.to_string())
    }

    /// A call that may be repeated under its key.
    pub fn post_once(&self, key: &str, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        self.send("POST", path, &headers, &body.to_string())
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send("PATCH", path, &[("content-type", "application/json")], &body.to_string())
    }

    /// Sends a request as it is given. An edge that hangs up answers 0.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        if let Some(token) = &self.token {
            request.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method == "POST" || method == "PATCH" {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.exchange(request.as_bytes()).unwrap_or_else(|error| Answer {
            status: 0,
            headers: Vec::new(),
            text: error.to_string(),
        })
    }

    fn exchange(&self, request: &[u8]) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.write_all(request)?;
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        let mut headers = Vec::new();
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut answer = Answer { status, headers, text: String::new() };
        let mut body = Vec::new();
        if answer.header("transfer-encoding").is_some() {
            read_chunks(&mut reader, &mut body)?;
        } else if let Some(length) = answer.header("content-length") {
            reader.take(length.parse().unwrap_or(0)).read_to_end(&mut body)?;
        }
        answer.text = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }
}

fn read_chunks(reader: &mut impl std::io::BufRead, body: &mut Vec<u8>) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).unwrap_or(0);
        if size == 0 {
            return Ok(());
        }
        reader.by_ref().take(size).read_to_end(body)?;
        reader.read_line(&mut line)?;
    }
}
