//! `pollux crd`: the CustomResourceDefinition, on request only where it is of use: a cluster that has
//! DeepPacketInspections already gets an explanation instead.

use anyhow::{Context as _, bail};
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
        let aggregated = service.as_ref().and_then(|service| aggregating(&service.data));
        let ask = |version| {
            let client = client.clone();
            async move {
                serves(&client, version)
                    .await
                    .with_context(|| format!("cannot ask the cluster for {version}"))
            }
        };
        verdict(aggregated.as_deref(), ask(API_VERSION).await?, ask(STORED_API_VERSION).await?)?;
        Ok(api::dpi::crd_yaml())
    })
}

/// Is the CRD of use?
fn verdict(aggregated: Option<&str>, is_served: bool, is_stored: bool) -> anyhow::Result<()> {
    if let Some(server) = aggregated {
        bail!(
            "an aggregated API server ({server}) serves {API_VERSION} in this cluster: Kubernetes \
             ignores a CustomResourceDefinition of that group beside it. {}",
            match is_served {
                true => "It serves DeepPacketInspections already; there is nothing to install",
                false =>
                    "It serves no DeepPacketInspections; that needs an edition of Calico that \
                          has them",
            }
        );
    }
    if is_stored {
        bail!(
            "the cluster keeps Calico's DeepPacketInspections in {STORED_API_VERSION}, where the \
             sensor reads them; {CRD_NAME} beside it would be a second place for the same"
        );
    }
    Ok(())
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
    fn a_cluster_that_has_the_resource_is_left_alone() {
        assert!(verdict(None, false, false).is_ok());
        assert!(verdict(None, true, false).is_ok(), "our own, perhaps an older one");
        let said = verdict(Some("service a/b"), true, false).expect_err("refused").to_string();
        assert!(said.contains("service a/b") && said.contains("nothing to install"), "{said}");
        assert!(verdict(Some("service a/b"), false, true).is_err());
        let said = verdict(None, false, true).expect_err("refused").to_string();
        assert!(said.contains(STORED_API_VERSION), "{said}");
    }
}
