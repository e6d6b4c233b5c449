//! The CustomResourceDefinition, for clusters that have no DeepPacketInspection of their own.

/// The CRD's name. Its group is `projectcalico.org`: one of group `crd.projectcalico.org` would
/// switch Calico's own components to another mode, so none is ever offered.
pub const CRD_NAME: &str = "deeppacketinspections.projectcalico.org";

/// The CRD as YAML, ready for `kubectl apply -f -`.
pub fn crd_yaml() -> String {
    include_str!("crd.yaml").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::dpi::{
        API_VERSION, DeepPacketInspection, DeepPacketInspectionStatus, ErrorCondition, KIND,
        MAX_ERROR_CONDITIONS, Time,
    };

    fn crd() -> Value {
        serde_saphyr::from_str(&crd_yaml()).unwrap()
    }

    #[test]
    fn the_crd_names_the_resource_as_calico_does() {
        let crd = crd();
        let spec = &crd["spec"];
        assert_eq!(crd["metadata"]["name"], CRD_NAME);
        assert_eq!(
            CRD_NAME,
            format!(
                "{}.{}",
                spec["names"]["plural"].as_str().unwrap(),
                spec["group"].as_str().unwrap()
            )
        );
        let version = &spec["versions"][0];
        let api_version =
            format!("{}/{}", spec["group"].as_str().unwrap(), version["name"].as_str().unwrap());
        assert_eq!(api_version, API_VERSION);
        assert_eq!(spec["names"]["kind"], KIND);
        assert_eq!(spec["names"]["listKind"], "DeepPacketInspectionList");
        assert_eq!(spec["names"]["singular"], "deeppacketinspection");
        assert_eq!(spec["names"]["shortNames"], serde_json::json!(["dpi"]));
        assert_eq!(spec["scope"], "Namespaced");
        assert!(version["subresources"]["status"].is_object());
        assert_eq!(
            (&version["served"], &version["storage"]),
            (&Value::Bool(true), &Value::Bool(true))
        );
        let columns: Vec<_> = version["additionalPrinterColumns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|column| column["name"].as_str().unwrap())
            .collect();
        assert_eq!(columns, ["Selector", "Active Nodes", "Errors", "Age"]);
    }

    /// Every member of a value must be a property of the schema, of the same type.
    fn assert_fits(value: &Value, schema: &Value, path: &str) {
        match value {
            Value::Object(members) if path != ".metadata" => {
                assert_eq!(schema["type"], "object", "{path}");
                for (name, member) in members {
                    let property = &schema["properties"][name];
                    assert!(property.is_object(), "{path}.{name} is not in the schema");
                    assert_fits(member, property, &format!("{path}.{name}"));
                }
                let properties = schema["properties"].as_object().unwrap();
                for name in properties.keys() {
                    assert!(members.contains_key(name), "{path}.{name} is not in the types");
                }
            }
            Value::Object(_) => assert_eq!(schema["type"], "object", "{path}"),
            Value::Array(items) => {
                assert_eq!(schema["type"], "array", "{path}");
                items.iter().for_each(|item| assert_fits(item, &schema["items"], path));
            }
            Value::String(_) => assert_eq!(schema["type"], "string", "{path}"),
            Value::Bool(_) => assert_eq!(schema["type"], "boolean", "{path}"),
            other => panic!("{path}: {other}"),
        }
    }

    #[test]
    fn the_schema_holds_exactly_what_the_types_write() {
        let mut dpi = DeepPacketInspection::new("a", "b", "has(c)");
        let mut status = DeepPacketInspectionStatus::default();
        let node = status.entry("n");
        node.set_active(true, Time::from_second(1));
        node.error_conditions.push(ErrorCondition::new("m", Time::from_second(1)));
        dpi.status = Some(status);
        let crd = crd();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_fits(&serde_json::to_value(&dpi).unwrap(), schema, "");

        let nodes = &schema["properties"]["status"]["properties"]["nodes"];
        assert_eq!(nodes["x-kubernetes-list-type"], "atomic");
        assert_eq!(
            nodes["items"]["properties"]["errorConditions"]["maxItems"],
            MAX_ERROR_CONDITIONS
        );
    }
}
