//! The sensor and a real Kubernetes control plane: etcd, kube-apiserver and kubectl as they are, and between
//! them, where a fault is to happen on demand, a proxy. Skipped where `scripts/kube-assets` has built nothing.

#![allow(dead_code)]

#[path = "../common/mod.rs"]
mod common;

mod attacks;
mod bad_input;
mod child;
mod confinement;
mod control_plane;
mod example;
mod faults;
mod fleet;
mod kubectl;
mod leases;
mod lists;
mod proxy;
mod sensor;
mod stream;

mod manifests;
mod names;
mod rights;
mod rule_sets;
mod scenario;
mod serving;
mod view;
