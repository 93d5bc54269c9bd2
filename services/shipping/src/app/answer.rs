//! Shipments and parcels as the contract tells of them.

use durable::time;
use titan::shipping::v1::{self as proto, shipment::State as WireState};

use crate::domain::{Address, Parcel, Shipment, State};

impl From<Shipment> for proto::Shipment {
    fn from(shipment: Shipment) -> Self {
        let (state, parcel, tracking_code) = match shipment.state {
            State::Prepared(parcel) => (WireState::Prepared, Some(parcel), String::new()),
            State::HandedOver { parcel, tracking } => {
                (WireState::HandedOver, Some(parcel), tracking)
            }
            State::Cancelled { parcel } => (WireState::Cancelled, parcel, String::new()),
        };
        proto::Shipment {
            name: shipment.id.as_str().to_owned(),
            state: state.into(),
            tracking_code,
            create_time: Some(time::to_proto(shipment.created)),
            update_time: Some(time::to_proto(shipment.updated)),
            ..parcel.map(Into::into).unwrap_or_default()
        }
    }
}

impl From<Parcel> for proto::Shipment {
    fn from(parcel: Parcel) -> Self {
        let line = |(product, quantity)| proto::ShipmentLine { product, quantity };
        proto::Shipment {
            customer: parcel.customer,
            address: Some(proto::Address {
                recipient: parcel.address.recipient,
                address_lines: parcel.address.lines,
                postal_code: parcel.address.postal_code,
                locality: parcel.address.locality,
                region_code: parcel.address.region,
            }),
            lines: parcel.lines.into_iter().map(line).collect(),
            ..proto::Shipment::default()
        }
    }
}

/// What a shipment of the contract asks to be packed.
impl From<proto::Shipment> for Parcel {
    fn from(wanted: proto::Shipment) -> Self {
        let address = wanted.address.unwrap_or_default();
        Parcel {
            customer: wanted.customer,
            address: Address {
                recipient: address.recipient,
                lines: address.address_lines,
                postal_code: address.postal_code,
                locality: address.locality,
                region: address.region_code,
            },
            lines: wanted.lines.into_iter().map(|line| (line.product, line.quantity)).collect(),
        }
    }
}
