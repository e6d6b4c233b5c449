//! `pollux crd`: the CustomResourceDefinition, on request only where it is of use: a cluster that has
//! DeepPacketInspections already gets an explanation instead.

use anyhow::bail;
use api::dpi::{API_VERSION, CRD_NAME, STORED_API_VERSION};
use kube::api::Api;
use kube::core::{ApiResource, DynamicObject};
use serde_json::Value;

use crate::background::Runtime;
use crate::config::KubernetesConfig;
use crate::source::kubernetes::{chain, connect, serves};

/// Who serves the group and version, by Kubernetes' name of it.
const API_SERVICE: &str = "v3.projectcalico.org";

/// The CRD, if the cluster has use for it.
///
/// # Errors
/// Why it has not, or why that cannot be told.
pub fn checked(config: &KubernetesConfig) -> anyhow::Result<String> {
    let runtime = Runtime::start()?;
    runtime.handle.block_on(async {
        let (client, _) = connect(config).await?;
        let service = Api::<DynamicObject>::all_with(client.clone(), &api_services());
        let service = service.get_opt(API_SERVICE).await;
        let service = service.map_err(|error| {
            anyhow::anyhow!("cannot ask the cluster who serves {API_VERSION}: {}", chain(&error))
        })?;
        if let Some(server) = service.as_ref().and_then(|service| aggregating(&service.data)) {
            // Whether it answers or not, a definition beside it would be ignored.
            bail!(beside(&server, serves(&client, API_VERSION).await));
        }
        let is_stored = serves(&client, STORED_API_VERSION).await.map_err(anyhow::Error::msg)?;
        if is_stored {
            bail!(
                "the cluster keeps Calico's DeepPacketInspections in {STORED_API_VERSION}, where the \
                 sensor reads them; {CRD_NAME} beside it would be a second place for the same"
            );
        }
        Ok(api::dpi::crd_yaml())
    })
}

/// Why there is no use for the CRD beside an aggregated API server, which serves the resource or not, or
/// does not answer.
fn beside(server: &str, is_served: Result<bool, String>) -> String {
    let more = match is_served {
        Ok(true) => {
            "It serves DeepPacketInspections already; there is nothing to install".to_owned()
        }
        Ok(false) => {
            "It serves no DeepPacketInspections; that needs an edition of Calico that has \
                      them"
                .to_owned()
        }
        Err(error) => format!("Now it does not say whether it has DeepPacketInspections: {error}"),
    };
    format!(
        "an aggregated API server ({server}) serves {API_VERSION} in this cluster: Kubernetes ignores \
         a CustomResourceDefinition of that group beside it. {more}"
    )
}

fn api_services() -> ApiResource {
    ApiResource {
        group: "apiregistration.k8s.io".to_owned(),
        version: "v1".to_owned(),
        api_version: "apiregistration.k8s.io/v1".to_owned(),
        kind: "APIService".to_owned(),
        plural: "apiservices".to_owned(),
    }
}

/// The service behind an APIService; `None` if the API server itself serves it.
fn aggregating(service: &Value) -> Option<String> {
    let service = service.get("spec")?.get("service")?.as_object()?;
    let text = |name: &str| service.get(name).and_then(Value::as_str).unwrap_or("?");
    Some(format!("service {}/{}", text("namespace"), text("name")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_aggregated_group_is_told_from_one_of_the_api_server_itself() {
        let service = json!({"spec": {"service": {"namespace": "calico", "name": "api"}}});
        assert_eq!(aggregating(&service).as_deref(), Some("service calico/api"));
        assert_eq!(aggregating(&json!({"spec": {"group": "x"}})), None);
        assert_eq!(aggregating(&json!({"spec": {"service": null}})), None);
    }

    #[test]
    fn of_an_aggregated_server_is_said_which_it_is_and_whether_it_has_the_resource() {
        let said = |is_served| beside("service a/b", is_served);
        for is_served in [Ok(true), Ok(false), Err("it is down".to_owned())] {
            assert!(said(is_served.clone()).contains("service a/b"), "{is_served:?}");
        }
        assert!(said(Ok(true)).contains("nothing to install"));
        assert!(said(Ok(false)).contains("an edition of Calico"));
        assert!(said(Err("it is down".to_owned())).ends_with("it is down"));
    }
}
