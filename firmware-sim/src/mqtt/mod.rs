//! The station's end of the wire: MQTT 3.1.1 and 5 over TCP or TLS, as a client that knows which packet was
//! acknowledged. The codec is rumqttc's `mqttbytes`; its event loop hides the packet ids that store-and-forward needs.

mod packets; // both versions behind one small vocabulary
mod link; // one connection

pub use link::{Door, Link, LinkError, Login, Tls, WINDOW};
pub use packets::{Incoming, Session, Version};
