//! Secrets that a provider shares with the gateway: from the environment or from a file, never written out.

use crate::config::cursor::Cursor;
use crate::config::environment::Variable;
use crate::config::formats::FILE;
use crate::config::lowering::Lowering;
use crate::config::quote::quoted;
use crate::config::shape::{Format, Section, Shape, optional};

static VARIABLE: Format =
    Format { name: "the name of an environment variable", pattern: Some("^[A-Za-z_][A-Za-z0-9_]*$"), check: variable };

pub(super) static SECRET: Section = Section {
    doc: "Where a secret comes from.",
    fields: &[
        optional("env", Shape::Text(&VARIABLE), "environment variable that holds it"),
        optional("file", Shape::Text(&FILE), "file that holds it; read again whenever it changes"),
    ],
    exactly_one: &["env", "file"],
};

fn variable(text: &str) -> Result<(), String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain && text.starts_with(|c: char| !c.is_ascii_digit()) {
        return Ok(());
    }
    Err(format!("{} is no environment variable's name; write it alone, such as STRIPE_WEBHOOK_SECRET", quoted(text)))
}

/// The secret itself, without space around it; `None` after a mistake. No message repeats it.
pub(super) fn lower(item: &Cursor<'_>, lowering: &mut Lowering<'_>) -> Option<String> {
    let (place, text) = match item.get("env") {
        Some(place) => {
            let name = place.text().filter(|name| variable(name).is_ok())?;
            match (lowering.environment)(name) {
                Variable::Set(value) => (place, value),
                Variable::Unset | Variable::NotUnicode => {
                    let message = format!("{} is not set in the environment; set it, or name a file", quoted(name));
                    lowering.report.error(&place.spot(), message);
                    return None;
                }
            }
        }
        None => {
            let place = item.get("file")?;
            let content = lowering.private_file(&place)?;
            let text = content.text().map(str::to_owned).unwrap_or_default();
            (place, text)
        }
    };
    let secret = text.trim();
    if secret.is_empty() || !secret.bytes().all(|b| b.is_ascii_graphic()) {
        let message = format!(
            "{} holds no secret: one line of printable ASCII is meant",
            quoted(place.text().unwrap_or_default())
        );
        lowering.report.error(&place.spot(), message);
        return None;
    }
    Some(secret.to_owned())
}
