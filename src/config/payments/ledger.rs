//! `payments.ledger`: where attempts are recorded.

use crate::config::cursor::Cursor;
use crate::config::formats::FILE;
use crate::config::shape::{Format, Section, Shape, optional};
use crate::config::sources::Sources;
use crate::config::state::absolute;
use crate::payments::{LedgerPlace, PostgresAddress};

pub(super) static LEDGER: Section = Section {
    doc: "Where attempts are recorded, durably.",
    fields: &[
        optional("embedded", Shape::Text(&FILE), "file of the embedded ledger, made if it is missing; one gateway"),
        optional(
            "postgres",
            Shape::Text(&POSTGRES),
            "URL of a PostgreSQL database, for any number of gateways; sslmode disable, require or verify-full",
        ),
    ],
    exactly_one: &["embedded", "postgres"],
};

/// Its messages never quote the URL, which holds a password.
static POSTGRES: Format = Format {
    name: "a URL such as postgres://user:password@host:5432/database?sslmode=verify-full",
    pattern: Some("^postgres(ql)?://"),
    check: |text| PostgresAddress::parse(text).map(drop).map_err(|problem| format!("the URL {problem}")),
};

/// Where the ledger is; `None` without payments, or after a mistake.
pub(in crate::config) fn ledger(root: &Cursor<'_>, sources: &Sources) -> Option<LedgerPlace> {
    let ledger = root.get("payments")?.get("ledger")?;
    match ledger.text_of("postgres") {
        Some(url) => PostgresAddress::parse(url).ok().map(LedgerPlace::Postgres),
        None => Some(LedgerPlace::Embedded(absolute(sources.resolve(ledger.text_of("embedded")?)))),
    }
}
