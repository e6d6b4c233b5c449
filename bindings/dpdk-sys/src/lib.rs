//! Raw bindings to the system's libdpdk 22.11, generated at build time, and a
//! C shim for its inline functions. No logic: the crate `dpdk` is what to use.

#![no_std]
#![allow(missing_docs, non_camel_case_types, non_snake_case, non_upper_case_globals)]
#![allow(unreachable_pub, unnecessary_transmutes, rustdoc::all, clippy::all)]
#![allow(clippy::undocumented_unsafe_blocks, unsafe_op_in_unsafe_fn)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
