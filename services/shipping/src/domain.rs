//! A parcel from its packing to the carrier's door. Pure: times and codes come in
//! as arguments, what happened goes out as an [`Event`].
//!
//! Whoever asks for a parcel may ask again, and may call it off before the asking
//! has arrived. So every decision starts from what is known of the id, which may
//! be nothing, and calling off what is not there leaves a cancelled shipment that
//! refuses to be prepared.

/// A time in microseconds since 1970, UTC: what both databases keep.
pub type Micros = i64;

/// Most products in a parcel; the contract says the same of a request.
pub const MAX_LINES: usize = 100;

/// Where no carrier goes: there is nobody to open the door.
const UNSERVED: [&str; 5] = ["AQ", "BV", "GS", "HM", "TF"];

/// Names a shipment; written as `shipments/{id}`. The id is the caller's choice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShipmentId(String);

impl ShipmentId {
    /// The shipment of this id.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(format!("shipments/{id}"))
    }

    /// A resource name, as it was stored or has passed the contract's rules.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The resource name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a parcel goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Who receives it.
    pub recipient: String,
    /// Street, number and the like.
    pub lines: Vec<String>,
    /// Empty where there is none.
    pub postal_code: String,
    /// City or town.
    pub locality: String,
    /// Country, in ISO 3166-1.
    pub region: String,
}

/// What was ordered: it cannot change, since the same id means the same parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Resource name of the user who ordered.
    pub customer: String,
    /// Where it goes.
    pub address: Address,
    /// Products and pieces.
    pub lines: Vec<(String, i64)>,
}

/// Where a shipment is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Packed, still in the house.
    Prepared(Parcel),
    /// With the carrier.
    HandedOver {
        /// What was packed.
        parcel: Parcel,
        /// What the carrier calls it.
        tracking: String,
    },
    /// Unpacked, or refused before it was packed.
    Cancelled {
        /// What was packed, if it ever was.
        parcel: Option<Parcel>,
    },
}

/// One parcel of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shipment {
    /// Its name.
    pub id: ShipmentId,
    /// Where it is in its life.
    pub state: State,
    /// When it was first heard of.
    pub created: Micros,
    /// When it last changed.
    pub updated: Micros,
    /// Counts its states; the first is 1.
    pub version: i64,
}

/// What is to happen to a shipment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Pack this.
    Prepare(Parcel),
    /// Give it to the carrier, who calls it so.
    HandOver {
        /// The carrier's name for it; kept only by the first handing over.
        tracking: String,
    },
    /// Call it off.
    Cancel,
}

/// What happened to a shipment, for others to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was packed.
    Prepared {
        /// Resource name of the user who ordered.
        customer: String,
    },
    /// It is with the carrier.
    HandedOver {
        /// What the carrier calls it.
        tracking: String,
    },
    /// It was unpacked, or will never be packed.
    Cancelled,
}

/// Why a wish was not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such shipment.
    #[error("there is no such shipment")]
    Unknown,
    /// The id stands for another parcel.
    #[error("another parcel was prepared under this id")]
    Different,
    /// No carrier goes there.
    #[error("no carrier delivers to this country")]
    NotServed,
    /// It was called off, maybe before it was made.
    #[error("the shipment was cancelled")]
    Cancelled,
    /// It is out of the house.
    #[error("the shipment was handed over to the carrier")]
    HandedOver,
    /// Somebody else's.
    #[error("the shipment is for somebody else")]
    NotCustomer,
}

impl Shipment {
    /// Follows a wish: what the shipment is afterwards, and what is told of it.
    /// A wish that was followed before is followed again without an event.
    ///
    /// # Errors
    /// Why it is not followed; nothing has changed.
    pub fn follow(
        known: Option<Shipment>,
        id: ShipmentId,
        wish: Wish,
        at: Micros,
    ) -> Result<(Shipment, Option<Event>), Refusal> {
        match (known, wish) {
            (None, Wish::Prepare(parcel)) => {
                if UNSERVED.contains(&&*parcel.address.region) {
                    return Err(Refusal::NotServed);
                }
                let event = Event::Prepared { customer: parcel.customer.clone() };
                Ok((Shipment::begin(id, State::Prepared(parcel), at), Some(event)))
            }
            (None, Wish::HandOver { .. }) => Err(Refusal::Unknown),
            // The tombstone: whoever still wants to prepare it comes too late.
            (None, Wish::Cancel) => {
                let state = State::Cancelled { parcel: None };
                Ok((Shipment::begin(id, state, at), Some(Event::Cancelled)))
            }
            (Some(shipment), wish) => shipment.change(wish, at),
        }
    }

    fn begin(id: ShipmentId, state: State, at: Micros) -> Self {
        Shipment { id, state, created: at, updated: at, version: 1 }
    }

    fn change(mut self, wish: Wish, at: Micros) -> Result<(Shipment, Option<Event>), Refusal> {
        let (state, event) = match (&self.state, wish) {
            (State::Cancelled { .. }, Wish::Prepare(_) | Wish::HandOver { .. }) => {
                return Err(Refusal::Cancelled);
            }
            (_, Wish::Prepare(parcel)) if self.parcel() != Some(&parcel) => {
                return Err(Refusal::Different);
            }
            (State::HandedOver { .. }, Wish::Cancel) => return Err(Refusal::HandedOver),
            (State::Prepared(parcel), Wish::HandOver { tracking }) => {
                let event = Event::HandedOver { tracking: tracking.clone() };
                (State::HandedOver { parcel: parcel.clone(), tracking }, event)
            }
            (State::Prepared(parcel), Wish::Cancel) => {
                (State::Cancelled { parcel: Some(parcel.clone()) }, Event::Cancelled)
            }
            // It is as it is wished for.
            (State::Prepared(_) | State::HandedOver { .. }, Wish::Prepare(_))
            | (State::HandedOver { .. }, Wish::HandOver { .. })
            | (State::Cancelled { .. }, Wish::Cancel) => return Ok((self, None)),
        };
        self.state = state;
        self.version += 1;
        self.updated = at.max(self.updated + 1);
        Ok((self, Some(event)))
    }

    /// What was packed, if it ever was.
    #[must_use]
    pub fn parcel(&self) -> Option<&Parcel> {
        match &self.state {
            State::Prepared(parcel) | State::HandedOver { parcel, .. } => Some(parcel),
            State::Cancelled { parcel } => parcel.as_ref(),
        }
    }

    /// Whether it is this user's. One that was never made is nobody's.
    #[must_use]
    pub fn is_of(&self, user: &str) -> bool {
        self.parcel().is_some_and(|parcel| parcel.customer == user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(region: &str) -> Parcel {
        let text = str::to_owned;
        let (lines, postal_code) = (vec![text("Main Street 1")], text("10115"));
        let (recipient, locality, region) = (text("Ada"), text("Berlin"), text(region));
        let address = Address { recipient, lines, postal_code, locality, region };
        Parcel { customer: text("users/ada"), address, lines: vec![(text("products/tea"), 2)] }
    }

    fn id() -> ShipmentId {
        ShipmentId::new("order-1")
    }

    fn hand_over() -> Wish {
        Wish::HandOver { tracking: "T1".into() }
    }

    /// What is left of a shipment after some wishes, and what was told.
    fn after(wishes: &[Wish]) -> (Result<Option<Shipment>, Refusal>, Vec<Event>) {
        let (mut known, mut told) = (None, Vec::new());
        for (n, wish) in wishes.iter().enumerate() {
            let at = Micros::try_from(n).unwrap();
            match Shipment::follow(known, id(), wish.clone(), at) {
                Ok((shipment, event)) => {
                    known = Some(shipment);
                    told.extend(event);
                }
                Err(refusal) => return (Err(refusal), told),
            }
        }
        (Ok(known), told)
    }

    #[test]
    fn each_wish_is_followed_once_however_often_it_comes() {
        let prepare = || Wish::Prepare(parcel("DE"));
        let (last, told) = after(&[prepare(), prepare(), hand_over(), hand_over(), prepare()]);
        let expected = [
            Event::Prepared { customer: "users/ada".into() },
            Event::HandedOver { tracking: "T1".into() },
        ];
        assert_eq!(told, expected);
        assert_eq!(last.unwrap().unwrap().version, 2);
        let (last, told) = after(&[prepare(), Wish::Cancel, Wish::Cancel]);
        assert_eq!(told.len(), 2);
        assert_eq!(last.unwrap().unwrap().parcel(), Some(&parcel("DE")));
    }

    #[test]
    fn what_contradicts_the_past_is_refused() {
        let prepare = || Wish::Prepare(parcel("DE"));
        let other = || Wish::Prepare(parcel("FR"));
        for (wishes, refusal) in [
            (vec![Wish::Prepare(parcel("AQ"))], Refusal::NotServed),
            (vec![hand_over()], Refusal::Unknown),
            (vec![prepare(), other()], Refusal::Different),
            (vec![prepare(), hand_over(), other()], Refusal::Different),
            (vec![prepare(), hand_over(), Wish::Cancel], Refusal::HandedOver),
            (vec![prepare(), Wish::Cancel, hand_over()], Refusal::Cancelled),
            (vec![prepare(), Wish::Cancel, prepare()], Refusal::Cancelled),
        ] {
            assert_eq!(after(&wishes).0, Err(refusal), "{wishes:?}");
        }
    }

    #[test]
    fn what_was_cancelled_before_it_was_made_is_never_made() {
        let (last, told) = after(&[Wish::Cancel, Wish::Cancel]);
        assert_eq!((last.unwrap().unwrap().parcel(), told), (None, vec![Event::Cancelled]));
        let late = after(&[Wish::Cancel, Wish::Prepare(parcel("DE"))]);
        assert_eq!(late.0, Err(Refusal::Cancelled));
    }
}
