//! What reads the session log and its snapshot, for the fuzzer.

use bytes::{Buf, Bytes};

use super::state::State;
use super::{codec, snapshot};

/// Changes one after the other, each after its length (u16): every prefix is a state that holds together, and a
/// snapshot of it means the same. Then the same bytes as a snapshot's file.
pub fn sessions(bytes: &[u8]) {
    let (mut state, mut rest) = (State::default(), bytes);
    while let Ok(length) = rest.try_get_u16_le() {
        let (change, after) = rest.split_at(usize::from(length).min(rest.len()));
        rest = after;
        let Ok(change) = codec::decode(Bytes::copy_from_slice(change)) else { continue };
        assert_eq!(codec::decode(codec::encode(&change)).as_ref(), Ok(&change));
        state.apply(change);
        assert_eq!(state.contradiction(), None);
    }
    let mut file = Vec::new();
    snapshot::write_to(&mut file, 7, &state).expect("memory takes everything");
    let (position, read, _) = snapshot::read(&*file).expect("what we wrote reads back");
    assert_eq!((position, read), (7, state));
    drop(snapshot::read(bytes));
}
