//! How consumers stand, as the contract has it.

use mesh::proto;
use prost_types::Timestamp;

use crate::{
    consumer::operate::{DeadLetter, ParkedStream, Standing, Subscriber},
    time,
};

/// Absent for a time that is not there.
fn known(micros: i64) -> Option<Timestamp> {
    (micros != 0).then(|| time::to_proto(micros))
}

pub(super) fn standing(standing: Standing) -> proto::ConsumerStanding {
    proto::ConsumerStanding {
        consumer: standing.consumer,
        paused: standing.paused,
        position: standing.position,
        end: standing.end,
        oldest_time: known(standing.oldest),
        replicas: standing.replicas,
        retrying_streams: standing.retrying,
        parked_streams: standing.parked,
        waiting_events: standing.waiting,
        error: standing.error,
    }
}

pub(super) fn parked(parked: ParkedStream) -> proto::ParkedStream {
    proto::ParkedStream {
        consumer: parked.consumer,
        stream: parked.stream,
        parked: parked.parked,
        position: parked.position,
        r#type: parked.kind,
        attempts: parked.attempts,
        first_time: known(parked.first_time),
        last_time: known(parked.last_time),
        due_time: known(parked.due),
        error: parked.error,
        waiting_events: parked.waiting,
    }
}

pub(super) fn letter(letter: DeadLetter) -> proto::DeadLetter {
    proto::DeadLetter {
        consumer: letter.consumer,
        status: letter.status,
        event: Some(letter.event.into()),
        attempts: letter.attempts,
        first_time: known(letter.first_time),
        last_time: known(letter.last_time),
        error: letter.error,
    }
}

pub(super) fn subscriber(subscriber: Subscriber) -> proto::Subscriber {
    let Subscriber { name, position, time, alive } = subscriber;
    proto::Subscriber { name, position, report_time: known(time), alive }
}
