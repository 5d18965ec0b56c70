//! What a station may run, and who gets it next: signed images, their bytes in chunks at a bounded pace, and the rings
//! of a roll-out with its halt. Pure: `now` and the facts are arguments, and what comes out is done by somebody else.

mod sign; // who vouches for an image
mod chunk; // an image in pieces
mod serve; // which piece goes to whom, and when
mod rings; // who is first
mod rollout; // who is next, and when it stops

pub use chunk::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Chunks, HEADER_BYTES, frame};
pub use rings::{Candidate, RING_SHARES, Seat, seats};
pub use rollout::{Action, Bad, Member, Stop, Terms, bad, decide, is_healthy, required};
pub use serve::{ASK_CHUNKS_MAX, Rates, Refused, Serving, Turn};
pub use sign::{
    BadKey, KeyRing, PublicKey, SIGNATURE_BYTES, SecretKey, SignedRelease, Unproven, digest,
};
