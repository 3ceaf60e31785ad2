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
    let reason = reason(error);
    Mistake { at, message: format!("{reason} ({near})") }
}

fn reason(error: &ScanError) -> String {
    let words = match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart => "a tab indents this line; use spaces",
        ErrorKind::RecursionLimitExceeded => return format!("nested deeper than {MAX_DEPTH} levels"),
        ErrorKind::UnclosedFlowCollection { open } => return format!("a `{open}` is never closed"),
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            return format!("this `{open}` is closed by a `{close}`; close the inner bracket first");
        }
        ErrorKind::MisplacedFlowCollectionEnd => "a bracket is closed here that was never opened",
        ErrorKind::UnclosedQuotedScalar => "a quoted text is never closed",
        ErrorKind::InvalidQuotedScalarIndent => {
            "a quoted text above is never closed, or this line of it is not indented"
        }
        ErrorKind::InvalidTrailingSingleQuotedScalar | ErrorKind::InvalidTrailingDoubleQuotedScalar => {
            "something stands behind the closing quote; a quote within a text is written '' or \\\""
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            "a backslash in double quotes begins an escape; write \\\\ or use single quotes"
        }
        ErrorKind::UnexpectedCharacter { character } if character.is_control() => {
            return format!("the control character {character:?} can't stand in a file of this kind; remove it");
        }
        ErrorKind::UnexpectedCharacter { character } => {
            return format!("a value can't begin with {character:?}; put it in quotes");
        }
        ErrorKind::ExpectedFlowSequenceSeparator => {
            "a comma or `]` was expected; put text that contains brackets, commas or `${…}` in quotes"
        }
        ErrorKind::ExpectedFlowMappingSeparator => {
            "a comma or `}` was expected; put text that contains braces, commas or `${…}` in quotes"
        }
        ErrorKind::MappingValueNotAllowed => {
            "no `name: value` can stand here; a line above lacks its colon or the space behind it, this one is indented \
             unlike its neighbours, or a text with a colon lacks its quotes"
        }
        ErrorKind::SimpleKeyExpected => "a colon was expected; write `name: value`",
        ErrorKind::ExpectedBlockMappingKey => {
            "a key was expected; this line is indented unlike the keys around it, or something stands behind a bracket's end"
        }
        ErrorKind::BlockSequenceEntryNotAllowed => "a list item can't stand here; begin it on a line of its own",
        ErrorKind::ExpectedBlockSequenceEntry => "a list item (`- …`) was expected; items and `name: value` don't mix",
        ErrorKind::InvalidColonPlacement => "a colon can't stand here; a bracket above may not be closed",
        _ => return format!("this is not well-formed YAML: {}", error.info()),
    };
    words.to_owned()
}
