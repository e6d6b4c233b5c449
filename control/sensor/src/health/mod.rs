//! How the sensor is, over HTTP on one port: `/healthz` (is it alive), `/readyz` (does it inspect),
//! `/metrics` (figures, in the OpenMetrics text format).

mod metrics;
mod sample;
pub mod socket;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;

pub use sample::{ResourceAlerts, RulesSample, Sample, SignatureAlerts, StatusSample, WatchSample};

/// The control side says how things are once a second; silent for so long, it hangs.
const SILENCE: Duration = Duration::from_secs(30);

/// The content type of [`metrics`].
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How the sensor is, as last told.
#[derive(Debug, Default)]
pub struct Health {
    latest: Mutex<Option<(Instant, Sample)>>,
    /// Counts what was told, for those who wait for news.
    news: tokio::sync::watch::Sender<u64>,
}

impl Health {
    /// Says how things are.
    pub fn tell(&self, sample: Sample) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), sample));
        self.news.send_modify(|told| *told += 1);
    }

    /// Is it alive? It is while it starts, which may take long.
    fn alive(&self, now: Instant) -> Result<(), String> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some((at, _)) if now.duration_since(*at) > SILENCE => {
                let silence = now.duration_since(*at).as_secs();
                Err(format!("the control side has not moved for {silence} s"))
            }
            _ => Ok(()),
        }
    }

    /// Does it inspect what it is to inspect?
    fn ready(&self, now: Instant) -> Result<(), String> {
        self.alive(now)?;
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            None => Err("starting: rules are being loaded".to_owned()),
            Some((_, sample)) => sample.readiness(),
        }
    }

    fn with_sample<T>(&self, then: impl FnOnce(&Sample) -> T) -> Option<T> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.as_ref().map(|(_, sample)| then(sample))
    }
}

/// What requests are answered from.
#[derive(Debug, Clone)]
struct Desk {
    health: Arc<Health>,
    registry: Arc<Registry>,
}

/// Listens, and answers in the background. The address listened at comes back: the port may have
/// been 0. Must be called on the runtime.
///
/// # Errors
/// The address cannot be listened at.
pub async fn serve(listen: SocketAddr, health: Arc<Health>) -> anyhow::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen at {listen} (metrics.listen)"))?;
    let address = listener.local_addr()?;
    let registry = Arc::new(metrics::registry(Arc::clone(&health)));
    let router = Router::new()
        .route(
            "/healthz",
            get(|desk: State<Desk>| async move { answer(desk.health.alive(Instant::now())) }),
        )
        .route(
            "/readyz",
            get(|desk: State<Desk>| async move { answer(desk.health.ready(Instant::now())) }),
        )
        .route("/metrics", get(figures))
        .with_state(Desk { health, registry });
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!("metrics are no longer served: {error}");
        }
    });
    Ok(address)
}

fn answer(result: Result<(), String>) -> Response {
    match result {
        Ok(()) => (StatusCode::OK, "ok\n").into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

async fn figures(State(desk): State<Desk>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &desk.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use super::*;
    use crate::output::ledger::{Ledger, NicCounters, PortLedger, QueueLedger};

    fn sample() -> Sample {
        let queue = QueueLedger {
            queue: Some(0),
            core: Some(3),
            received: 7,
            inspected: 5,
            dropped: [("non_ip".to_owned(), 2)].into(),
            ..QueueLedger::default()
        };
        let nic = NicCounters { imissed: Some(4), ..NicCounters::default() };
        let port = PortLedger {
            name: "eth1".to_owned(),
            nic,
            queues: vec![queue],
            ..PortLedger::default()
        };
        Sample {
            ledger: Ledger { ports: vec![port], generation: 3, ..Ledger::default() },
            generation: 3,
            acknowledged: true,
            alerts_by_resource: vec![ResourceAlerts {
                namespace: "shop".to_owned(),
                name: "we\"b".to_owned(),
                alerts: 9,
            }],
            ..Sample::default()
        }
    }

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).expect("connected");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    #[test]
    fn health_readiness_and_figures_are_served() {
        let runtime = crate::background::Runtime::start().expect("a runtime");
        let health = Arc::<Health>::default();
        let listen = "127.0.0.1:0".parse().expect("an address");
        let serving = serve(listen, Arc::clone(&health));
        let address = runtime.handle.block_on(serving).expect("listening");
        assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"));
        let starting = get(address, "/readyz");
        assert!(
            starting.starts_with("HTTP/1.1 503") && starting.contains("starting"),
            "{starting}"
        );
        health.tell(Sample { is_loading: true, ..sample() });
        assert!(get(address, "/readyz").starts_with("HTTP/1.1 503"));
        health.tell(sample());
        assert!(get(address, "/readyz").starts_with("HTTP/1.1 200"));
        let text = get(address, "/metrics");
        for line in [
            "pollux_packets_received_total{port=\"eth1\",queue=\"0\",core=\"3\"} 7",
            "pollux_packets_dropped_total{port=\"eth1\",queue=\"0\",core=\"3\",reason=\"non_ip\"} 2",
            "pollux_port_imissed_total{port=\"eth1\"} 4",
            "pollux_resource_alerts_total{namespace=\"shop\",name=\"we\\\"b\"} 9",
            "pollux_generation 3.0",
            "# EOF",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line} is not in {text}");
        }
        assert!(get(address, "/other").starts_with("HTTP/1.1 404"));
    }

    #[test]
    fn a_control_side_that_hangs_is_not_alive() {
        let health = Health::default();
        health.tell(sample());
        assert_eq!(health.alive(Instant::now()), Ok(()));
        let later = Instant::now() + SILENCE + Duration::from_secs(1);
        assert!(health.alive(later).is_err() && health.ready(later).is_err());
    }
}
