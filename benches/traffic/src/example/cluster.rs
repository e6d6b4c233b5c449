//! Who is in the example's cluster. `deploy/examples/resources` says the same in YAML, and a test
//! that both agree.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::Envelope;
use crate::path::CALICO_VNI;

/// A node of the cluster.
#[derive(Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: &'static str,
    /// Its address on the network between the nodes.
    pub address: Ipv4Addr,
}

/// A pod.
#[derive(Debug, PartialEq, Eq)]
pub struct Pod {
    /// Namespace.
    pub namespace: &'static str,
    /// Name.
    pub name: &'static str,
    /// Where it runs.
    pub node: &'static Node,
    /// Its service account.
    pub service_account: &'static str,
    /// Its address, whose last two bytes are those of its IPv6 address too.
    pub address: Ipv4Addr,
    /// The resources that inspect it, as `namespace/name`, sorted.
    pub resources: &'static [&'static str],
}

impl Pod {
    /// An IPv4 socket of the pod.
    pub const fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.address), port)
    }

    /// Its IPv6 address.
    pub const fn address6(&self) -> Ipv6Addr {
        let [_, _, node, pod] = self.address.octets();
        Ipv6Addr::new(0xfd00, 0x10, 0x244, node as u16, 0, 0, 0, pod as u16)
    }

    /// An IPv6 socket of the pod.
    pub const fn at6(&self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V6(self.address6()), port)
    }

    /// Calico's VXLAN to another pod, if that is on another node.
    pub fn vxlan(&self, server: &Pod) -> Envelope {
        if self.node == server.node {
            return Envelope::Plain;
        }
        let (client, server) = (self.node.address, server.node.address);
        Envelope::Vxlan { vni: CALICO_VNI, client, server }
    }

    /// IP in IP to another pod, if that is on another node.
    pub fn ipip(&self, server: &Pod) -> Envelope {
        if self.node == server.node {
            return Envelope::Plain;
        }
        Envelope::IpIp { client: self.node.address, server: server.node.address }
    }
}

/// The node where half of the pods run.
pub static NODE_A: Node = Node { name: "node-a", address: Ipv4Addr::new(192, 168, 10, 11) };
/// The node where the others run.
pub static NODE_B: Node = Node { name: "node-b", address: Ipv4Addr::new(192, 168, 10, 12) };

/// The resource with a selector on labels.
const WEB_TIER: &str = "shop/web-tier";
/// The resource that overlaps with it.
const EDGE: &str = "shop/edge";
/// The resource with a selector on inherited labels.
const DATABASES: &str = "data/production-databases";
/// The resource with an empty selector.
const WHOLE_BATCH: &str = "batch/whole-namespace";

const fn pod(
    namespace: &'static str,
    name: &'static str,
    service_account: &'static str,
    node: &'static Node,
    last: (u8, u8),
    resources: &'static [&'static str],
) -> Pod {
    let address = Ipv4Addr::new(10, 244, last.0, last.1);
    Pod { namespace, name, node, service_account, address, resources }
}

/// The shop's face.
pub static FRONTEND_1: Pod =
    pod("shop", "frontend-6c9f7d-x2k4m", "frontend", &NODE_A, (1, 11), &[EDGE, WEB_TIER]);
/// The shop's face, on the other node.
pub static FRONTEND_2: Pod =
    pod("shop", "frontend-6c9f7d-p8r5t", "frontend", &NODE_B, (2, 11), &[EDGE, WEB_TIER]);
/// Pages behind the frontend.
pub static WEB: Pod = pod("shop", "web-5d8b9c-q7w3z", "web", &NODE_A, (1, 12), &[WEB_TIER]);
/// An API that no resource selects.
pub static CART: Pod = pod("shop", "cart-7f4d6b-n5v2j", "cart", &NODE_B, (2, 12), &[]);
/// A database.
pub static POSTGRES: Pod = pod("data", "postgres-0", "database", &NODE_B, (2, 21), &[DATABASES]);
/// A cache, run as a database.
pub static REDIS: Pod = pod("data", "redis-0", "database", &NODE_A, (1, 21), &[DATABASES]);
/// Reads the databases, but is none.
pub static BACKUP: Pod = pod("data", "backup-29444640-h6t9c", "backup", &NODE_A, (1, 22), &[]);
/// A job.
pub static REPORT: Pod =
    pod("batch", "report-29444700-b4k7x", "jobs", &NODE_A, (1, 31), &[WHOLE_BATCH]);
/// Another job.
pub static IMPORT: Pod =
    pod("batch", "import-29444700-z9m2f", "jobs", &NODE_B, (2, 31), &[WHOLE_BATCH]);
/// Holds the address that a finished job of `batch` once had ([`FINISHED_JOB`]).
pub static GRAFANA: Pod =
    pod("monitoring", "grafana-86c5f4-t3d8w", "grafana", &NODE_A, (1, 41), &[]);
/// Asks everyone for metrics.
pub static PROMETHEUS: Pod = pod("monitoring", "prometheus-0", "prometheus", &NODE_B, (2, 41), &[]);
/// The cluster's DNS.
pub static COREDNS: Pod =
    pod("kube-system", "coredns-668d6b-g2h7s", "coredns", &NODE_A, (1, 10), &[]);
/// A pod of a namespace whose only resource selects nothing.
pub static SANDBOX: Pod = pod("sandbox", "playground", "default", &NODE_B, (2, 51), &[]);

/// The pods with an address of their own.
pub static PODS: [&Pod; 13] = [
    &FRONTEND_1,
    &FRONTEND_2,
    &WEB,
    &CART,
    &POSTGRES,
    &REDIS,
    &BACKUP,
    &REPORT,
    &IMPORT,
    &GRAFANA,
    &PROMETHEUS,
    &COREDNS,
    &SANDBOX,
];

/// Namespace and name of the finished pod whose status still has [`GRAFANA`]'s address.
pub const FINISHED_JOB: (&str, &str) = ("batch", "report-29444640-c8n3v");

/// Hosts outside of the cluster, of the ranges for documentation (RFC 5737).
pub mod outside {
    use std::net::Ipv4Addr;

    /// Customers: this and the 19 addresses after.
    pub const CUSTOMERS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 10);
    /// Who attacks.
    pub const ATTACKER: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 66);
    /// The resolver that the cluster's DNS asks.
    pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);
    /// The bank's API.
    pub const BANK: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);
    /// Where stolen things go.
    pub const DROP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
}

/// The resources in whose scope an address is.
pub fn resources_of(address: IpAddr) -> &'static [&'static str] {
    let mut pods = PODS.iter();
    let pod = pods.find(|pod| address == pod.address || address == pod.address6());
    pod.map_or(&[], |pod| pod.resources)
}
