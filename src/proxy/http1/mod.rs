//! HTTP/1.0 and 1.1 (RFC 9112) on both sides, written for a proxy: strict where two parsers could
//! disagree, transparent everywhere else. `docs/adr/0001-engine.md` says why it is not a library's.

mod body;
mod chunked;
pub(crate) mod client;
mod connection;
mod connection_field;
mod head_end;
mod pump;
mod request_head;
mod response_head;
pub(crate) mod server;
mod write;

pub(crate) use connection::ClientIo;
pub(crate) use request_head::{METHOD, content_length, is_authority, read_expectation, store_target};
pub(crate) use write::set_content_length;
