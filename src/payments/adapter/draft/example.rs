//! Recorded calls with their answers, as they are written.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::Class;
use crate::payments::record::Operation;

/// A recorded call with its answer, and what is to be made of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExampleDraft {
    /// For people.
    pub name: String,
    /// Which operation.
    pub operation: Operation,
    /// What differs from the standard call.
    #[serde(default)]
    pub call: CallDraft,
    /// Parts that the request must have.
    pub request: Option<ExpectedDraft>,
    /// The provider's answer.
    pub answer: Option<AnswerDraft>,
    /// What it means.
    pub class: Option<Class>,
    /// Parts that must have been read.
    #[serde(default)]
    pub reads: Map<String, Value>,
}

/// A call; what is left out has a standard value.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallDraft {
    /// In minor units (1234).
    pub amount: Option<u64>,
    /// ISO 4217 (EUR).
    pub currency: Option<String>,
    /// Payment method (card).
    pub method: Option<String>,
    /// The client's token (`tok_example` where a client is there).
    pub token: Option<String>,
    /// Whether to capture at once (true).
    pub capture: Option<bool>,
    /// The provider's name for the payment (none).
    pub provider_ref: Option<String>,
    /// What to ask for (the order reference).
    pub lookup: Option<String>,
    /// The client's notes (none).
    pub metadata: BTreeMap<String, String>,
    /// What the latest look found (nothing).
    pub found: Option<FoundDraft>,
}

/// What a look found.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundDraft {
    /// Its class.
    pub class: Class,
    /// The provider's name for it.
    pub provider_ref: Option<String>,
}

/// Parts of a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedDraft {
    /// Method.
    pub method: Option<String>,
    /// Path with its query, as sent.
    pub path: Option<String>,
    /// Fields by lower-case name.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// Members that the JSON body has at least.
    pub json: Option<Value>,
    /// Fields that the form has at least.
    pub form: Option<Map<String, Value>>,
}

/// An answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerDraft {
    /// Status.
    pub status: u16,
    /// Header fields by name.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// Body: a document.
    pub json: Option<Value>,
    /// Body: as it is.
    pub text: Option<String>,
}
