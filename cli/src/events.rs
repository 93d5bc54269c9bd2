//! `titan events`: what happened in an application, how its consumers stand, and
//! what is to be done about a stream that is parked.

pub(crate) mod args;
mod print;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::Context as _;
use durable::archive;
use mesh::{
    Channel,
    proto::{
        Decision, DiscardEventRequest, Event, ForgetConsumerRequest, GetEventRequest,
        ListConsumersRequest, ListDeadLettersRequest, ListEventsRequest, ListParkedStreamsRequest,
        ListSubscribersRequest, PauseConsumerRequest, ReleaseStreamRequest, ReplayConsumerRequest,
        ResumeConsumerRequest, SubscribeRequest, events_service_client::EventsServiceClient,
        feed_service_client::FeedServiceClient,
    },
};

use self::{
    args::{Decided, Events, Matching, Verb},
    print::{Payloads, line},
};
use crate::{client::Running, failure::Refused, json::json, operator::table, output};

/// Does what was asked for.
pub(crate) async fn run(data: &Path, options: Events) -> anyhow::Result<()> {
    let channel = Running::need(data)?.channel(&options.app).await?;
    let asked = Asked { channel, json: options.json };
    match options.verb {
        Verb::List { matching, archive: Some(folder) } => {
            asked.archived(&folder.join(&options.app), matching).await
        }
        Verb::List { matching, archive: None } => asked.list(matching).await,
        Verb::Show { position } => asked.show(position).await,
        Verb::Follow(matching) => asked.follow(matching).await,
        Verb::Consumers => asked.consumers().await,
        Verb::Subscribers => asked.subscribers().await,
        Verb::Parked(of) => asked.parked(of.consumer).await,
        Verb::DeadLetters(of) => asked.dead_letters(of.consumer).await,
        verb => asked.decide(verb).await,
    }
}

/// One application, and how it is told of.
struct Asked {
    channel: Channel,
    json: bool,
}

impl Asked {
    fn client(&self) -> EventsServiceClient<Channel> {
        EventsServiceClient::new(self.channel.clone())
    }

    async fn list(&self, matching: Matching) -> anyhow::Result<()> {
        let Matching { after, types, streams } = matching;
        let request = ListEventsRequest { after, types, streams, page_size: 0 };
        let page = self.client().list_events(request).await.map_err(Refused)?.into_inner();
        let mut payloads = Payloads::new(self.channel.clone());
        self.events(&mut payloads, &page.events).await?;
        if page.position < page.end && !self.json {
            output::complain(format_args!("more: --after {}", page.position));
        }
        Ok(())
    }

    /// All that matches: files are read as fast as they are printed.
    async fn archived(&self, folder: &Path, matching: Matching) -> anyhow::Result<()> {
        let Matching { after, types, streams } = matching;
        let mut payloads = Payloads::new(self.channel.clone());
        for event in archive::events(folder, after)? {
            let event = event?;
            let matches = event.matches(&types, &streams);
            if matches && !self.events(&mut payloads, &[event.into()]).await? {
                break;
            }
        }
        Ok(())
    }

    /// Returns whether somebody still reads.
    async fn events(&self, payloads: &mut Payloads, events: &[Event]) -> anyhow::Result<bool> {
        for event in events {
            let json = payloads.json(event).await?;
            let text = if self.json { json.to_string() } else { line(event, &json) };
            if !output::print(text) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn show(&self, position: i64) -> anyhow::Result<()> {
        let answer =
            self.client().get_event(GetEventRequest { position }).await.map_err(Refused)?;
        let event = answer.into_inner().event.context("the answer has no event")?;
        let json = Payloads::new(self.channel.clone()).json(&event).await?;
        let text = if self.json { json.to_string() } else { serde_json::to_string_pretty(&json)? };
        output::print(text);
        Ok(())
    }

    async fn follow(&self, matching: Matching) -> anyhow::Result<()> {
        let Matching { after, types, streams } = matching;
        let request = SubscribeRequest { after, types, streams, consumer: "titan".to_owned() };
        let mut feed = FeedServiceClient::new(self.channel.clone());
        let mut batches = feed.subscribe(request).await.map_err(Refused)?.into_inner();
        let mut payloads = Payloads::new(self.channel.clone());
        while let Some(batch) = batches.message().await.map_err(Refused)? {
            if !self.events(&mut payloads, &batch.events).await? {
                break;
            }
        }
        Ok(())
    }

    async fn consumers(&self) -> anyhow::Result<()> {
        let answer = self.client().list_consumers(ListConsumersRequest {}).await;
        let consumers = answer.map_err(Refused)?.into_inner().consumers;
        if self.json {
            return print_each(&consumers);
        }
        let rows = consumers.iter().map(|of| {
            [
                of.consumer.clone(),
                if of.paused { "paused" } else { "runs" }.to_owned(),
                of.position.to_string(),
                (of.end - of.position).to_string(),
                of.replicas.to_string(),
                of.retrying_streams.to_string(),
                of.parked_streams.to_string(),
                of.error.clone(),
            ]
        });
        let head =
            ["CONSUMER", "STATE", "POSITION", "LAG", "REPLICAS", "RETRYING", "PARKED", "ERROR"];
        print_lines(table(head, rows));
        Ok(())
    }

    async fn subscribers(&self) -> anyhow::Result<()> {
        let answer = self.client().list_subscribers(ListSubscribersRequest {}).await;
        let subscribers = answer.map_err(Refused)?.into_inner().subscribers;
        if self.json {
            return print_each(&subscribers);
        }
        let rows = subscribers.iter().map(|of| {
            [
                of.name.clone(),
                if of.alive { "alive" } else { "silent" }.to_owned(),
                of.position.to_string(),
                of.report_time.map(|time| time.to_string()).unwrap_or_default(),
            ]
        });
        print_lines(table(["SUBSCRIBER", "STATE", "POSITION", "REPORTED"], rows));
        Ok(())
    }

    async fn parked(&self, consumer: String) -> anyhow::Result<()> {
        let answer = self.client().list_parked_streams(ListParkedStreamsRequest { consumer }).await;
        let streams = answer.map_err(Refused)?.into_inner().streams;
        if self.json {
            return print_each(&streams);
        }
        let rows = streams.iter().map(|of| {
            [
                of.consumer.clone(),
                of.stream.clone(),
                if of.parked { "parked" } else { "retrying" }.to_owned(),
                of.position.to_string(),
                of.attempts.to_string(),
                of.waiting_events.to_string(),
                of.error.clone(),
            ]
        });
        let head = ["CONSUMER", "STREAM", "STATE", "POSITION", "ATTEMPTS", "WAITING", "ERROR"];
        print_lines(table(head, rows));
        Ok(())
    }

    async fn dead_letters(&self, consumer: String) -> anyhow::Result<()> {
        let answer = self.client().list_dead_letters(ListDeadLettersRequest { consumer }).await;
        let letters = answer.map_err(Refused)?.into_inner().letters;
        let mut payloads = Payloads::new(self.channel.clone());
        for letter in letters {
            let mut told = json(&letter)?;
            if let Some(event) = &letter.event {
                told["event"] = payloads.json(event).await?;
            }
            let text =
                if self.json { told.to_string() } else { serde_json::to_string_pretty(&told)? };
            output::print(text);
        }
        Ok(())
    }

    async fn decide(&self, verb: Verb) -> anyhow::Result<()> {
        let mut client = self.client();
        let done = match verb {
            Verb::Release { consumer, stream, decision } => {
                let decision = said(decision);
                let request = ReleaseStreamRequest { consumer, stream, decision };
                client.release_stream(request).await.map(drop)
            }
            Verb::Discard { consumer, stream, position, decision } => {
                let decision = said(decision);
                let request = DiscardEventRequest { consumer, stream, position, decision };
                client.discard_event(request).await.map(drop)
            }
            Verb::Pause { consumer, decision } => {
                let request = PauseConsumerRequest { consumer, decision: said(decision) };
                client.pause_consumer(request).await.map(drop)
            }
            Verb::Resume { consumer, decision } => {
                let request = ResumeConsumerRequest { consumer, decision: said(decision) };
                client.resume_consumer(request).await.map(drop)
            }
            Verb::Replay { consumer, after: position, skip, decision } => {
                let decision = said(decision);
                let request = ReplayConsumerRequest { consumer, position, skip, decision };
                client.replay_consumer(request).await.map(drop)
            }
            Verb::Forget { consumer, force, decision } => {
                let decision = said(decision);
                let request = ForgetConsumerRequest { consumer, force, decision };
                client.forget_consumer(request).await.map(drop)
            }
            looking => anyhow::bail!("{looking:?} decides nothing"),
        };
        Ok(done.map_err(Refused)?)
    }
}

fn said(decided: Decided) -> Option<Decision> {
    Some(Decision { operator: decided.operator, reason: decided.reason })
}

fn print_each<M: prost::Message + prost::Name>(messages: &[M]) -> anyhow::Result<()> {
    for message in messages {
        output::print(json(message)?);
    }
    Ok(())
}

fn print_lines(lines: Vec<String>) {
    for line in lines {
        output::print(line);
    }
}
