//! What outputs need to know of the control side: the generation, and what is wrong with the sensor.

use anyhow::Context as _;
use api::dpi::Time;

use super::ledger::Ledger;
use super::status::{ResourceInput, StatusFile, losses};
use crate::state::{Built, State};

/// A state of the control side.
#[derive(Debug, Clone)]
pub struct View {
    /// The newest generation.
    pub built: Built,
    /// What is wrong with the sensor as a whole.
    pub conditions: Vec<String>,
}

impl View {
    /// The state as it is.
    pub fn of(state: &State) -> Self {
        Self { built: state.current().clone(), conditions: state.conditions() }
    }

    /// Says in the status file what is so.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_status(
        &self,
        status: &mut StatusFile,
        ledger: &Ledger,
        acknowledged: bool,
    ) -> anyhow::Result<()> {
        let errors: Vec<_> = self.built.resource_errors().collect();
        let inputs: Vec<_> = errors
            .iter()
            .map(|(resource, error)| ResourceInput { resource, error: error.as_deref() })
            .collect();
        let mut conditions = self.conditions.clone();
        conditions.extend(losses(ledger));
        let path = status.path().display().to_string();
        status
            .update(&inputs, acknowledged, &conditions, Time::from(jiff::Timestamp::now()))
            .with_context(|| format!("cannot write the status to {path}"))?;
        Ok(())
    }
}
