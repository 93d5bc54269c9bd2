//! What a channel knows of its instances, for people who ask why calls go where
//! they go. It is told as JSON at `/endpoints` of the admin port.

use serde::Serialize;

use super::{endpoint::Endpoint, standing::Standing, tick::Tick};
use crate::resolver::Listed;

/// Instances of one application that are told of: the page is for reading.
pub(crate) const MAX_TOLD: usize = 1_000;

/// One application that is called.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) app: String,
    pub(crate) policy: Policy,
    /// Breakers are ignored, since too many are open.
    pub(crate) panic: bool,
    pub(crate) instances: Vec<Instance>,
    /// How many more there are than are told.
    pub(crate) omitted: usize,
}

/// How an instance is chosen.
#[derive(Debug, Serialize)]
pub(crate) struct Policy {
    pub(crate) calls: &'static str,
    pub(crate) streams: &'static str,
    /// Only where calls with keys were made.
    pub(crate) calls_with_keys: Option<&'static str>,
    /// Whether the weights differ.
    pub(crate) weighted: bool,
    /// The caller's zone.
    pub(crate) zone: Option<String>,
    /// Share of the calls that stay in the zone, unless it has too much to do.
    pub(crate) stay_in_zone: f32,
    /// The most instances that are connected to; zero for all.
    pub(crate) subset: usize,
}

/// One instance.
#[derive(Debug, Serialize)]
pub(crate) struct Instance {
    address: String,
    instance: String,
    zone: String,
    weight: u32,
    in_subset: bool,
    connected: bool,
    connections: usize,
    /// Absent while there is no connection, as is all that follows.
    #[serde(flatten)]
    known: Option<Known>,
}

#[derive(Debug, Serialize)]
struct Known {
    breaker: &'static str,
    /// How often it was taken out of rotation.
    ejections: u32,
    /// Absent before its first answer.
    latency_micros: Option<f32>,
    failing: f32,
    calls_in_flight: u32,
    streams: u32,
    picks: u64,
}

impl Instance {
    pub(crate) fn connected(listed: &Listed, endpoint: &Endpoint, now: Tick) -> Self {
        Self {
            connected: true,
            connections: endpoint.connections(),
            known: Some(Known::of(&endpoint.standing, now)),
            ..Self::listed(listed, true)
        }
    }

    pub(crate) fn listed(listed: &Listed, in_subset: bool) -> Self {
        Self {
            address: listed.target.address.clone(),
            instance: listed.target.instance.clone(),
            zone: listed.zone.clone(),
            weight: listed.weight,
            in_subset,
            connected: false,
            connections: 0,
            known: None,
        }
    }
}

impl Known {
    fn of(standing: &Standing, now: Tick) -> Self {
        Self {
            breaker: standing.breaker.name(now),
            ejections: standing.ejections(),
            latency_micros: standing.score.latency(now),
            failing: standing.score.failing(now),
            calls_in_flight: standing.calls.now(),
            streams: standing.streams.now(),
            picks: standing.calls.ever() + standing.streams.ever(),
        }
    }
}
