//! `app-layer-event`: what a parser finds odd (docs.suricata.io, "Generic App Layer Keywords").

use app::{AppEvent, AppProto};

use super::draft::Draft;
use super::names::nearest;
use super::options::Value;
use super::text::{shown, text};

/// What the names of flows' own events begin with.
const OF_FLOWS: &str = "applayer_";

/// Events of parsers that Suricata gave up and takes no more.
const WITHDRAWN: [&str; 3] = [
    "tls.certificate_missing_element",
    "tls.certificate_unknown_element",
    "tls.certificate_invalid_string",
];

/// `app-layer-event`
pub(crate) fn app_layer_event(draft: &mut Draft<'_, '_>, value: &Value<'_>) -> Result<(), String> {
    let value = text(value.bytes);
    let event = find(&value)?;
    match event.proto() {
        AppProto::Unknown => {
            draft.packet_keyword.get_or_insert_with(|| "app-layer-event".to_owned());
        }
        proto => draft.need_app(proto.name())?,
    }
    draft.events.push(event);
    Ok(())
}

/// The event of a name.
fn find(value: &str) -> Result<AppEvent, String> {
    let Some((app, name)) = value.split_once('.') else {
        let known = || AppEvent::names(AppProto::Unknown).iter().copied();
        return AppEvent::named(AppProto::Unknown, value).ok_or_else(|| {
            if value.starts_with(OF_FLOWS) {
                unknown(value, nearest(value, known()))
            } else {
                let value = shown(value);
                format!("an event is protocol.name or {OF_FLOWS}…, `{value}` is neither")
            }
        });
    };
    if WITHDRAWN.contains(&value) {
        return Err(format!("event `{value}` is no more in Suricata 7"));
    }
    let Some(proto) = AppProto::from_rule_name(app) else {
        return Err(format!("application protocol `{}` is not known", shown(app)));
    };
    let names = AppEvent::names(proto);
    if names.is_empty() {
        return Err(format!("events of {app} are not recorded in this build"));
    }
    AppEvent::named(proto, name).ok_or_else(|| {
        let near = nearest(name, names.iter().copied()).map(|near| format!("{app}.{near}"));
        unknown(value, near.as_deref())
    })
}

fn unknown(value: &str, near: Option<&str>) -> String {
    match near {
        Some(near) => format!("event `{}` is not known, did you mean `{near}`?", shown(value)),
        None => format!("event `{}` is not known", shown(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(value: &str) -> String {
        find(value).expect_err(value)
    }

    #[test]
    fn names_of_protocols_and_of_flows_are_found() {
        let event = find("http.double_encoded_uri").expect("known");
        assert_eq!((event.proto(), event.name()), (AppProto::Http1, "double_encoded_uri"));
        let event = find("applayer_unexpected_protocol").expect("known");
        assert_eq!(event.proto(), AppProto::Unknown);
    }

    #[test]
    fn a_refusal_says_what_is_not_known() {
        assert_eq!(
            reason("http.double_encoded_url"),
            "event `http.double_encoded_url` is not known, did you mean `http.double_encoded_uri`?"
        );
        assert_eq!(reason("dns.flooded"), "event `dns.flooded` is not known");
        assert_eq!(reason("smb.file_overlap"), "events of smb are not recorded in this build");
        assert_eq!(reason("gopher.x"), "application protocol `gopher` is not known");
        assert!(reason("z_flag_set").contains("neither"));
        assert!(reason("applayer_unexpected_protocl").contains("applayer_unexpected_protocol"));
        assert!(reason("tls.certificate_missing_element").contains("no more"));
    }
}
