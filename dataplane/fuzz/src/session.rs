//! Drives an application parser with whatever comes, and asks everything that the engine may ask.

use app::{
    AppBuffer, AppProto, BufferSet, Certificates, Config, FileNeeds, Limits, Outcome, Session,
    Transport,
};
use wire::Direction;

use crate::Choices;

/// Bytes that a session may hold beyond its transactions.
const HELD: usize = 4 << 20;

/// Each step of the input is a header byte (direction, or a gap, or the freeing of transactions),
/// a length, and so many bytes.
pub fn drive_session(proto: AppProto, transport: Transport, bytes: &[u8]) {
    let files = FileNeeds { md5: true, sha1: true, sha256: true, parts: true };
    let limits = Limits { files, http_double_decode_path: true, ..Limits::default() };
    let Some(mut session) = Session::over(proto, transport) else { return };
    let certificates = Certificates::default();
    let config = Config { limits: &limits, wanted: BufferSet::ALL, certificates: &certificates };
    let mut choices = Choices::new(bytes);
    let mut failed = [false; 2];
    while !choices.is_empty() {
        let step = choices.byte();
        let way = if step & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
        let length = usize::from(choices.word() & 0x7fff);
        match step >> 4 {
            14 => session.gap(&config, way, length as u64),
            15 => session.free_before(session.first_tx() + u64::from(step >> 1 & 3)),
            _ if failed[way.index()] => drop(choices.take(length)),
            _ => {
                let bytes = choices.take(length);
                failed[way.index()] = session.data(&config, way, bytes) == Outcome::Error;
            }
        }
        session.take_progress();
        ask(&session);
        assert!(session.buffered() <= HELD, "{} bytes are held", session.buffered());
    }
    for way in Direction::BOTH {
        session.close(&config, way);
    }
    ask(&session);
}

fn ask(session: &Session) {
    // Most of a long list was asked at the step before.
    let from = session.first_tx().max(session.next_tx().saturating_sub(4));
    for id in from..session.next_tx() {
        let Some(tx) = session.tx(id) else { continue };
        for buffer in AppBuffer::ALL {
            let mut index = 0;
            while index < 64 && tx.buffer(buffer, index).is_some() {
                index += 1;
            }
        }
        for way in Direction::BOTH {
            let _complete: (u8, bool) = (tx.progress(way), tx.is_complete(way));
            let files = (0..).map_while(|index| tx.file(way, index)).count();
            assert!(files <= 64, "{files} files");
        }
        let _summary = tx.summary(id);
    }
}
