//! Any TLS records of both sides, in any pieces, with gaps.
#![no_main]

use app::{AppProto, Transport};
use dataplane_fuzz::drive_session;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| drive_session(AppProto::Tls, Transport::Tcp, input));
