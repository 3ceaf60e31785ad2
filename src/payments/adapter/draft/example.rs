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
    #[serde(default)]
    pub request: Option<ExpectedDraft>,
    /// The provider's answer.
    #[serde(default)]
    pub answer: Option<AnswerDraft>,
    /// What it means.
    #[serde(default)]
    pub class: Option<Class>,
    /// Parts that must have been read.
    #[serde(default)]
    pub reads: Map<String, Value>,
}

/// A call; what is left out has a standard value.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallDraft {
    /// In minor units (1234).
    #[serde(default)]
    pub amount: Option<u64>,
    /// ISO 4217 (EUR).
    #[serde(default)]
    pub currency: Option<String>,
    /// Payment method (card).
    #[serde(default)]
    pub method: Option<String>,
    /// The client's token (`tok_example` where a client is there).
    #[serde(default)]
    pub token: Option<String>,
    /// Whether to capture at once (true).
    #[serde(default)]
    pub capture: Option<bool>,
    /// The provider's name for the payment (none).
    #[serde(default)]
    pub provider_ref: Option<String>,
    /// What to ask for (the order reference).
    #[serde(default)]
    pub lookup: Option<String>,
    /// The client's notes (none).
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// What the latest look found (nothing).
    #[serde(default)]
    pub found: Option<FoundDraft>,
}

/// What a look found.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoundDraft {
    /// Its class.
    pub class: Class,
    /// The provider's name for it.
    #[serde(default)]
    pub provider_ref: Option<String>,
}

/// Parts of a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedDraft {
    /// Method.
    #[serde(default)]
    pub method: Option<String>,
    /// Path with its query, as sent.
    #[serde(default)]
    pub path: Option<String>,
    /// Fields by lower-case name.
    #[serde(default)]
    pub headers: Map<String, Value>,
    /// Members that the JSON body has at least.
    #[serde(default)]
    pub json: Option<Value>,
    /// Fields that the form has at least.
    #[serde(default)]
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
    #[serde(default)]
    pub json: Option<Value>,
    /// Body: as it is.
    #[serde(default)]
    pub text: Option<String>,
}
