//! The business contracts, generated from `proto/titan/`. The modules mirror the
//! packages; nothing here is written by hand.

/// Bank accounts and transfers between them: package `titan.accounts`.
pub mod accounts {
    /// Package `titan.accounts.v1`.
    pub mod v1 {
        tonic::include_proto!("titan.accounts.v1");
    }
}

/// Applications of people for projects: package `titan.applicants`.
pub mod applicants {
    /// Package `titan.applicants.v1`.
    pub mod v1 {
        tonic::include_proto!("titan.applicants.v1");
    }
}

/// Users, sessions and the keys of their tokens: package `titan.identity`.
pub mod identity {
    /// Package `titan.identity.v1`.
    pub mod v1 {
        tonic::include_proto!("titan.identity.v1");
    }
}

/// Products, their stock and what is set aside of it: package `titan.inventory`.
pub mod inventory {
    /// Package `titan.inventory.v1`.
    pub mod v1 {
        tonic::include_proto!("titan.inventory.v1");
    }
}

/// Amounts of money: package `titan.money`.
pub mod money {
    /// Package `titan.money.v1`.
    pub mod v1 {
        tonic::include_proto!("titan.money.v1");
    }
}

/// Orders of the shop's customers: package `titan.orders`.
pub mod orders {
    /// Package `titan.orders.v1`.
    pub mod v1 {
        tonic::include_proto!("titan.orders.v1");
    }
}

/// Money taken from cards: package `titan.payments`.
pub mod payments {
    /// Package `titan.payments.v1`.
    pub mod v1 {
        tonic::include_proto!("titan.payments.v1");
    }
}

/// Projects that people can apply for: package `titan.projects`.
pub mod projects {
    /// Package `titan.projects.v1`.
    pub mod v1 {
        tonic::include_proto!("titan.projects.v1");
    }
}

/// Parcels on their way to customers: package `titan.shipping`.
pub mod shipping {
    /// Package `titan.shipping.v1`.
    pub mod v1 {
        tonic::include_proto!("titan.shipping.v1");
    }
}

/// Every contract of this package and what it imports, as an encoded
/// `google.protobuf.FileDescriptorSet` with options and comments.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
