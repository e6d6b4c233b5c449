//! Which API serves DeepPacketInspections: Calico's own group, else the group that its aggregated
//! server stores them in, else none yet.

use api::dpi::{API_VERSION, KIND, STORED_API_VERSION};
use kube::core::ApiResource;

use super::watch::chain;

/// The plural, as in paths.
const PLURAL: &str = "deeppacketinspections";

/// What the server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Served {
    /// By this group and version.
    By(ApiResource),
    /// By none.
    Nowhere,
}

/// Asks the server.
///
/// # Errors
/// It does not answer, or a group's own server does not: nothing can be said then. In words that say what
/// to do.
pub(super) async fn discover(client: &kube::Client) -> Result<Served, String> {
    for version in [API_VERSION, STORED_API_VERSION] {
        if serves(client, version).await? {
            return Ok(Served::By(resource(version)));
        }
    }
    Ok(Served::Nowhere)
}

/// Is the resource served by this group and version?
///
/// # Errors
/// As [`discover`].
pub(crate) async fn serves(client: &kube::Client, version: &str) -> Result<bool, String> {
    match client.list_api_group_resources(version).await {
        Ok(list) => Ok(list.resources.iter().any(|resource| resource.name == PLURAL)),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(explain(version, &error)),
    }
}

fn explain(version: &str, error: &kube::Error) -> String {
    let code = match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    };
    match code {
        401 => "the API server refuses the credentials; renew them".to_owned(),
        403 => format!(
            "asking the cluster what {version} serves is not allowed; grant system:discovery"
        ),
        502..=504 => {
            let (group, version_alone) = version.split_once('/').unwrap_or(("", version));
            format!(
                "whoever serves {version} in this cluster does not answer (HTTP {code}): see `kubectl \
                 get apiservice {version_alone}.{group}` and the pods behind it"
            )
        }
        _ => format!("cannot ask the cluster for {version}: {}", chain(error)),
    }
}

/// The resource in this group and version.
fn resource(api_version: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version.to_owned(),
        kind: KIND.to_owned(),
        plural: PLURAL.to_owned(),
    }
}
