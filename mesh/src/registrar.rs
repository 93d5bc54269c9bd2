//! Keeps an instance in the registry while it serves.

use std::time::Duration;

use tonic::Status;

use crate::{
    backoff::Backoff,
    channel::Channel,
    proto::{
        DeregisterRequest, Instance, RegisterRequest,
        registry_service_client::RegistryServiceClient,
    },
};

/// How often an instance renews its lease, when the registry says nothing usable.
const RENEW: Duration = Duration::from_secs(1);
/// Leaving is a courtesy: the lease runs out by itself.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Renews the instance's lease until it is dropped. While the registry is down
/// it tries on, so that a registry that comes back knows the mesh at once.
pub(crate) async fn keep_registered(channel: Channel, instance: Instance) {
    let mut client = RegistryServiceClient::new(channel);
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    loop {
        let wait = match register(&mut client, &instance).await {
            Ok(lease) => {
                backoff.reset();
                lease / 3
            }
            Err(status) => {
                tracing::debug!(%status, "cannot register");
                backoff.wait()
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn register(
    client: &mut RegistryServiceClient<Channel>,
    instance: &Instance,
) -> Result<Duration, Status> {
    let request = RegisterRequest { instance: Some(instance.clone()) };
    let response = client.register(request).await?.into_inner();
    let lease = response.lease.and_then(|lease| Duration::try_from(lease).ok());
    Ok(lease.filter(|lease| !lease.is_zero()).unwrap_or(RENEW * 3))
}

/// Takes the instance out, so that nobody calls it while it drains.
pub(crate) async fn leave(channel: Channel, id: String) {
    let mut client = RegistryServiceClient::new(channel);
    let leaving = client.deregister(DeregisterRequest { id });
    if let Ok(Err(status)) = tokio::time::timeout(LEAVE_TIMEOUT, leaving).await {
        tracing::debug!(%status, "cannot deregister");
    }
}
