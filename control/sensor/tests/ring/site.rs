//! A server, and a resource that selects it.

/// The server's address.
pub(crate) const SERVER: [u8; 4] = [10, 9, 0, 1];

/// The server's pod and the resource `shop/web`.
pub(crate) const RESOURCES: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: shop, labels: {app: web}}
spec: {nodeName: here}
status: {phase: Running, podIP: 10.9.0.1, podIPs: [{ip: 10.9.0.1}]}
---
apiVersion: projectcalico.org/v3
kind: DeepPacketInspection
metadata: {name: web, namespace: shop}
spec: {selector: app == 'web'}
";
