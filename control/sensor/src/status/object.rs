//! Changing the status of one object: read, change, replace with the version that was read, and
//! begin again where somebody came in between.

use std::time::Duration;

use kube::Api;
use kube::api::PostParams;
use kube::core::DynamicObject;
use serde_json::Value;

use crate::source::kubernetes::{chain, jitter};

/// Conflicts of one change before others get their turn.
const CONFLICTS: u32 = 8;

/// How long a change may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Debug)]
pub(crate) enum Change {
    /// The server has it.
    Made,
    /// Nothing was to be changed.
    Needless,
    /// The object is gone, or another of its name is there.
    Gone,
    /// Too many came in between.
    Contended,
    /// An error, with what to do where that is known.
    Failed(String),
}

/// Changes the status of the object of this name, and of this uid if one is given. `edit` says
/// whether it changed anything. `conflict` hears of each refusal for a newer version.
pub(crate) async fn change_counted(
    api: &Api<DynamicObject>,
    name: &str,
    uid: Option<&str>,
    edit: impl FnMut(&mut Value) -> bool,
    conflict: impl FnMut(),
) -> Change {
    let work = attempts(api, name, uid, edit, conflict);
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(change) => change,
        Err(_) => Change::Failed("no answer in time".to_owned()),
    }
}

/// [`change_counted`] without counting.
pub(crate) async fn change(
    api: &Api<DynamicObject>,
    name: &str,
    uid: Option<&str>,
    edit: impl FnMut(&mut Value) -> bool,
) -> Change {
    change_counted(api, name, uid, edit, || {}).await
}

async fn attempts(
    api: &Api<DynamicObject>,
    name: &str,
    uid: Option<&str>,
    mut edit: impl FnMut(&mut Value) -> bool,
    mut conflict: impl FnMut(),
) -> Change {
    for attempt in 0..CONFLICTS {
        let mut object = match api.get(name).await {
            Ok(object) => object,
            Err(kube::Error::Api(status)) if status.code == 404 => return Change::Gone,
            Err(error) => return Change::Failed(explain(&error)),
        };
        if uid.is_some() && object.metadata.uid.as_deref() != uid {
            return Change::Gone;
        }
        if !edit(&mut object.data) {
            return Change::Needless;
        }
        object.metadata.managed_fields = None;
        match api.replace_status(name, &PostParams::default(), &object).await {
            Ok(_) => return Change::Made,
            Err(kube::Error::Api(status)) if status.code == 404 => return Change::Gone,
            Err(kube::Error::Api(status)) if status.code == 409 => {
                conflict();
                let longest = 20_u64 << attempt.min(5);
                tokio::time::sleep(Duration::from_millis(jitter(longest))).await;
            }
            Err(error) => return Change::Failed(explain(&error)),
        }
    }
    Change::Contended
}

/// What went wrong, and what to do where that is known.
fn explain(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            "the sensor may not get deeppacketinspections and update deeppacketinspections/status; \
             grant it the rights"
                .to_owned()
        }
        kube::Error::Api(status) => format!("{} (HTTP {})", status.message, status.code),
        other => chain(other),
    }
}
