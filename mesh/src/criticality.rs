//! How much a call matters when a server cannot take all of them: four classes,
//! as Google's SRE book has them ("Handling Overload"). The class is decided
//! once, where a chain of calls begins, and everything the call causes inherits
//! it, so that one user's request is not half served.

use http::{HeaderName, HeaderValue};

use crate::proto;

/// Carries the class from process to process.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("titan-criticality");

/// How many classes there are.
pub(crate) const CLASSES: usize = 4;

/// A class of calls; a greater one matters more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Criticality {
    /// May fail often, even for a while altogether: prefetches, statistics.
    Sheddable,
    /// May fail now and then, somebody tries again later: batches, background
    /// work.
    SheddablePlus,
    /// A person sees its failure. What no contract calls otherwise.
    #[default]
    Critical,
    /// Its failure costs dearly: capacity is planned for all of these.
    CriticalPlus,
}

impl Criticality {
    /// Every class, the least first.
    pub(crate) const ALL: [Self; CLASSES] =
        [Self::Sheddable, Self::SheddablePlus, Self::Critical, Self::CriticalPlus];

    /// The class's name on the wire and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sheddable => "SHEDDABLE",
            Self::SheddablePlus => "SHEDDABLE_PLUS",
            Self::Critical => "CRITICAL",
            Self::CriticalPlus => "CRITICAL_PLUS",
        }
    }

    /// What the header says. A name that is not known is treated as absent: a
    /// newer peer may know more classes.
    pub(crate) fn read(header: &HeaderValue) -> Option<Self> {
        let name = header.as_bytes();
        Self::ALL.into_iter().find(|class| class.name().as_bytes() == name)
    }

    pub(crate) fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    /// The class of a call that has come. Who proved to be a process of the mesh
    /// is believed; anybody else may make a call matter less than its contract
    /// says (`own`), not more.
    pub(crate) fn admitted(asked: Option<Self>, own: Self, proven: bool) -> Self {
        match asked {
            Some(asked) if proven => asked,
            Some(asked) => asked.min(own),
            None => own,
        }
    }

    /// What a contract says; `None` when it says nothing.
    pub(crate) fn of_policy(policy: &proto::Policy) -> Option<Self> {
        match policy.criticality() {
            proto::Criticality::Unspecified => None,
            proto::Criticality::CriticalPlus => Some(Self::CriticalPlus),
            proto::Criticality::Critical => Some(Self::Critical),
            proto::Criticality::SheddablePlus => Some(Self::SheddablePlus),
            proto::Criticality::Sheddable => Some(Self::Sheddable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_survives_the_wire() {
        for class in Criticality::ALL {
            assert_eq!(Criticality::read(&class.header()), Some(class));
        }
    }

    #[test]
    fn an_unknown_class_is_no_class() {
        let value = HeaderValue::from_static("MOST_CRITICAL");
        assert_eq!(Criticality::read(&value), None);
    }

    #[test]
    fn only_a_process_of_the_mesh_raises_a_class() {
        use Criticality::{Critical, CriticalPlus, Sheddable};
        for (asked, proven, expected) in [
            (None, false, Critical),
            (None, true, Critical),
            (Some(CriticalPlus), true, CriticalPlus),
            (Some(CriticalPlus), false, Critical),
            (Some(Sheddable), true, Sheddable),
            (Some(Sheddable), false, Sheddable),
        ] {
            assert_eq!(Criticality::admitted(asked, Critical, proven), expected);
        }
    }
}
