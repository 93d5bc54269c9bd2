//! `titan call`: one call, its schema learned from the server, JSON in and out.

pub(crate) mod dynamic;

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use anyhow::{Context as _, bail};
use mesh::{App, Channel, Settings};
use prost_reflect::{DynamicMessage, MethodDescriptor};

use crate::{
    args::{Call, Method},
    client::nothing_runs,
    directory::Directory,
    output, schema,
    session::{self, Session},
    supervisor::topology,
};

/// Makes the call and prints what comes back.
pub(crate) async fn run(data: &Path, options: Call) -> anyhow::Result<()> {
    let address = address(data, options.address.as_deref())?;
    let channel = channel(&address)?;
    let method = schema::method(&channel, &options.method).await?;
    let requests = requests(&method, &text(&options.request)?)?;
    let headers = headers(data, &options, &address).await?;

    let mut answers = dynamic::call(channel, &method, requests, &headers).await?;
    while let Some(answer) = answers.next().await? {
        if !output::print(json(&answer, options.plain_json)?) {
            break;
        }
    }
    Ok(())
}

/// Calls a unary method that is part of the contract of the edge.
pub(crate) async fn unary(
    channel: &Channel,
    method: &str,
    request: serde_json::Value,
    headers: &[(String, String)],
) -> anyhow::Result<serde_json::Value> {
    let (service, name) = method.split_once('/').context("a method has a service")?;
    let method = Method { service: service.to_owned(), name: name.to_owned() };
    let method = schema::method(channel, &method).await?;
    let requests = requests(&method, &request.to_string())?;
    let mut answers = dynamic::call(channel.clone(), &method, requests, headers).await?;
    let answer = answers.next().await?.context("there was no answer")?;
    // To the end, where the status is.
    while answers.next().await?.is_some() {}
    Ok(serde_json::to_value(&answer)?)
}

/// The given address, else that of the edge that runs.
pub(crate) fn address(data: &Path, given: Option<&str>) -> anyhow::Result<String> {
    if let Some(given) = given {
        let address = given.trim_start_matches("http://").trim_end_matches('/');
        let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() {
            bail!("--address {given}: write HOST:PORT");
        }
        return Ok(address.to_owned());
    }
    let run = Directory::at(data).run();
    let run =
        run.with_context(|| format!("{}, or name a server by --address", nothing_runs(data)))?;
    let edge = run.edge.context("the titan that runs has no edge; name a server by --address")?;
    Ok(topology::reachable(edge).to_string())
}

/// A channel as any client outside of the mesh has it: it proves no name.
pub(crate) fn channel(address: &str) -> anyhow::Result<Channel> {
    let app = App::new(Settings::from_pairs("titan", &[("log", "off")]))?;
    Ok(app.endpoint(address))
}

/// What stands behind `-d`.
fn text(given: &str) -> anyhow::Result<String> {
    match given.strip_prefix('@') {
        Some(path) => fs::read_to_string(path).with_context(|| path.to_owned()),
        None if given == "-" => {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).context("standard input")?;
            Ok(text)
        }
        None => Ok(given.to_owned()),
    }
}

/// The JSON values in a text as requests of a method.
fn requests(method: &MethodDescriptor, text: &str) -> anyhow::Result<Vec<DynamicMessage>> {
    let input = method.input();
    let mut values = serde_json::Deserializer::from_str(text);
    let mut requests = Vec::new();
    while values.end().is_err() {
        let request = DynamicMessage::deserialize(input.clone(), &mut values);
        requests.push(
            request.with_context(|| format!("the request does not fit {}", input.full_name()))?,
        );
    }
    if !method.is_client_streaming() && requests.len() != 1 {
        bail!("{} takes one request, not {}", method.full_name(), requests.len());
    }
    Ok(requests)
}

fn json(answer: &DynamicMessage, plain: bool) -> serde_json::Result<String> {
    if plain { serde_json::to_string(answer) } else { serde_json::to_string_pretty(answer) }
}

/// The given headers, and a token unless there is one among them.
async fn headers(
    data: &Path,
    options: &Call,
    address: &str,
) -> anyhow::Result<Vec<(String, String)>> {
    let mut headers = options.headers.clone();
    if headers.iter().any(|(key, _)| key == "authorization") {
        return Ok(headers);
    }
    let token = match &options.token {
        Some(token) => Some(token.clone()),
        None => session_token(data, address).await?,
    };
    headers.extend(token.map(|token| session::authorization(&token)));
    Ok(headers)
}

/// The session's token, for servers that its edge and this machine vouch for.
async fn session_token(data: &Path, address: &str) -> anyhow::Result<Option<String>> {
    let store = session::Store::of_user()?;
    let Some(session) = store.load()? else { return Ok(None) };
    if !may_know(&session, address, data) {
        return Ok(None);
    }
    Ok(Some(store.fresh(session).await?.access_token))
}

/// A token is a secret: it goes to the edge that issued it, and to the services
/// of the system that runs behind that edge, on the same host.
fn may_know(session: &Session, address: &str, data: &Path) -> bool {
    let host = |address: &str| address.rsplit_once(':').map(|(host, _)| host.to_owned());
    let runs_here = self::address(data, None).is_ok_and(|edge| edge == session.edge);
    address == session.edge || (runs_here && host(address) == host(&session.edge))
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::*;

    fn method(name: &str) -> MethodDescriptor {
        let pool = DescriptorPool::decode(mesh::DESCRIPTORS).unwrap();
        let service = pool.get_service_by_name("titan.mesh.v1.RegistryService").unwrap();
        service.methods().find(|method| method.name() == name).unwrap()
    }

    #[test]
    fn a_request_is_one_json_value_of_the_methods_type() {
        let requests = requests(&method("Deregister"), " {\"id\": \"x\"} ").unwrap();
        assert_eq!(serde_json::to_value(&requests[0]).unwrap(), serde_json::json!({"id": "x"}));
    }

    #[test]
    fn what_is_no_request_is_refused_before_it_is_sent() {
        for text in ["", "{} {}", "{\"unknown\": 1}", "{\"id\": 7}", "[", "null null"] {
            assert!(requests(&method("Deregister"), text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_may_come_from_a_file() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        fs::write(temp.path(), "{}").unwrap();
        assert_eq!(text(&format!("@{}", temp.path().display())).unwrap(), "{}");
        assert!(text("@/nowhere").is_err());
        assert_eq!(text("{\"a\": 1}").unwrap(), "{\"a\": 1}");
    }

    #[test]
    fn an_address_has_a_port() {
        let nowhere = Path::new("/nowhere");
        assert_eq!(address(nowhere, Some("http://localhost:80/")).unwrap(), "localhost:80");
        assert!(address(nowhere, Some("localhost")).is_err());
        let error = address(nowhere, None).unwrap_err().to_string();
        assert!(error.contains("titan up") && error.contains("--address"), "{error}");
    }

    #[test]
    fn a_session_is_not_shown_to_strangers() {
        let nowhere = Path::new("/nowhere");
        let session = Session { edge: "127.0.0.1:8080".to_owned(), ..Session::default() };
        assert!(may_know(&session, "127.0.0.1:8080", nowhere));
        assert!(!may_know(&session, "127.0.0.1:40213", nowhere), "its edge does not run here");
        assert!(!may_know(&session, "example.com:8080", nowhere));
    }
}
