//! Sparkplug B, as the specification 3.0 has it: an edge node tells at its birth which metrics there are, under which
//! alias and of which type; its data messages name only what changed. So a message is read against what its node said
//! before, and a node whose birth nobody heard is asked to tell again (`Node Control/Rebirth`).

mod proto; // the bytes
mod topic; // who speaks, and what kind of message it is
mod metric; // a metric as a value
mod nodes; // what each node said at its birth

pub use nodes::{Ask, Heard, Nodes};
