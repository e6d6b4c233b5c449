//! What outputs need to know of the control side: the generation, and what is wrong with the sensor.

use anyhow::Context as _;
use api::dpi::Time;

use super::status::{ResourceInput, StatusFile};
use crate::health::RulesSample;
use crate::state::{Built, State};
use crate::status::Condition;

/// A state of the control side.
#[derive(Debug, Clone)]
pub struct View {
    /// The newest generation.
    pub built: Built,
    /// What is wrong with the sensor as a whole.
    pub conditions: Vec<String>,
    /// Figures of the rules in force.
    pub rules: RulesSample,
}

impl View {
    /// The state as it is.
    pub fn of(state: &State) -> Self {
        let rules = state.rules();
        Self {
            built: state.current().clone(),
            conditions: state.conditions(),
            rules: RulesSample {
                loaded: rules.loaded,
                rejected: rules.rejections.len(),
                build_seconds: rules.report.seconds,
                database_bytes: rules.report.database_bytes,
            },
        }
    }

    /// Says in the status file what is so. `conditions`: what is wrong with the sensor as a whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_status(
        &self,
        status: &mut StatusFile,
        acknowledged: bool,
        conditions: &[Condition],
    ) -> anyhow::Result<()> {
        let errors: Vec<_> = self.built.resource_errors().collect();
        let inputs: Vec<_> = errors
            .iter()
            .map(|(resource, error)| ResourceInput { resource, error: error.as_deref() })
            .collect();
        let path = status.path().display().to_string();
        status
            .update(&inputs, acknowledged, conditions, Time::from(jiff::Timestamp::now()))
            .with_context(|| format!("cannot write the status to {path}"))?;
        Ok(())
    }
}
