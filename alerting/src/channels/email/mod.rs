//! E-mail over SMTP (RFC 5321), with STARTTLS or implicit TLS, a login, and connections that are kept and used again.
//! The mail client is touched in this folder only.

mod config; // what was typed, and what it means
mod probe; // does the server let us in?
mod send; // a notice becomes an e-mail

pub use config::{CONNECTIONS_MAX, EmailConfig, Tls};
pub use probe::{ProbeError, probe};
pub(crate) use send::Email;

#[cfg(test)]
mod tests;
