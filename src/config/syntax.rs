//! The parser's errors in words that say what to do.

use serde_saphyr::granit_parser::{ErrorKind, ScanError};

use super::quote::quoted;
use super::tree::{MAX_DEPTH, Mistake, Position};

/// Where the parser stopped, why, and the text it stopped at.
pub(super) fn explain(error: &ScanError, text: &str) -> Mistake {
    let mark = error.marker();
    let at = Position { line: mark.line().max(1), column: mark.col() + 1 };
    let near = text.lines().nth(at.line - 1).map(|line| line.chars().skip(mark.col()).collect::<String>());
    let near = match near.as_deref().map(str::trim_end) {
        Some("") | None => "at the end of the line".to_owned(),
        Some(rest) => format!("at {}", quoted(rest)),
    };
    let reason = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => "a tab indents this line; use spaces".to_owned(),
        ErrorKind::RecursionLimitExceeded => format!("nested deeper than {MAX_DEPTH} levels"),
        ErrorKind::UnclosedFlowCollection { open } => format!("a `{open}` is never closed"),
        ErrorKind::UnclosedQuotedScalar => "a quoted text is never closed".to_owned(),
        ErrorKind::InvalidQuotedScalarIndent => {
            "a quoted text above is never closed, or this line of it is not indented".to_owned()
        }
        ErrorKind::ExpectedFlowSequenceSeparator => {
            "a comma or `]` was expected; put text that contains brackets, commas or `${…}` in quotes".to_owned()
        }
        ErrorKind::ExpectedFlowMappingSeparator => {
            "a comma or `}` was expected; put text that contains braces, commas or `${…}` in quotes".to_owned()
        }
        _ => format!("this is not well-formed YAML: {}", error.info()),
    };
    Mistake { at, message: format!("{reason} ({near})") }
}
