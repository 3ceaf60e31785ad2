//! The keys of an adapter's file, as `figway schema provider` prints them. What templates and expressions may say is
//! judged where they are compiled, in `payments`.

use crate::config::formats::ANY;
use crate::config::shape::{Format, Section, Shape, choice, default, list, optional, required, section};
use crate::payments::MAX_AMOUNT;

/// A template may be empty, as the password of many providers is.
static TEMPLATE: Format = Format { name: "a text with {{ expressions }}", pattern: None, check: |_| Ok(()) };
static EXPRESSION: Format = Format { name: "an expression such as status == 200", pattern: None, check: ANY.check };
static KEY: Format = Format { name: "a name", pattern: Some("."), check: ANY.check };

const TEMPLATE_TEXT: Shape = Shape::Text(&TEMPLATE);
const EXPRESSION_TEXT: Shape = Shape::Text(&EXPRESSION);
/// Numbers and truth values may stand there as well.
const TEMPLATES: Shape = Shape::Table { keys: &KEY, values: &Shape::Scalar, min: 0 };
const EXPRESSIONS: Shape = Shape::Table { keys: &KEY, values: &EXPRESSION_TEXT, min: 0 };
const CLASS: Shape = choice(&[
    "succeeded",
    "prepared",
    "declined",
    "soft_declined",
    "not_processed",
    "full",
    "voided",
    "not_found",
    "pending",
    "unknown",
]);
const OPERATIONS: &[&str] = &["charge", "prepare", "confirm", "cancel", "refund", "lookup", "void"];

/// A whole file.
pub(in crate::config) static ADAPTER_FILE: Shape = Shape::Section(&FILE);

static FILE: Section = section(
    "How one kind of payment provider is spoken to; docs/payment-adapters.md leads through writing one.",
    &[
        required("description", Shape::Text(&ANY), "one sentence for people"),
        optional("flow", Shape::Section(&FLOW), "how payments go through it"),
        optional(
            "credentials",
            Shape::Table { keys: &KEY, values: &choice(&["required", "optional"]), min: 0 },
            "names of the secrets that a provider's entry brings; templates read them as credentials.NAME",
        ),
        default("answer_format", choice(&["json", "form"]), "json", "form of the provider's answers"),
        optional("auth", Shape::Section(&AUTH), "the Authorization field of every request"),
        optional("headers", TEMPLATES, "header fields of every request: templates by name"),
        optional("sign", Shape::Section(&SIGN), "a keyed hash over every request"),
        required("operations", Shape::Section(&OPERATIONS_SECTION), "what the provider can be asked for"),
        optional("examples", list(&Shape::Section(&EXAMPLE), 0), "recorded answers, tried whenever the file is loaded"),
    ],
);

static FLOW: Section = section(
    "How payments go through the provider.",
    &[
        default(
            "charge_by",
            choice(&["charge", "prepare_and_confirm", "client"]),
            "charge",
            "a payment of one client request: one charge; prepare and confirm, both by the gateway; \
             client: the client confirms after its customer's part",
        ),
        default(
            "prepare_is_harmless",
            Shape::Bool,
            "false",
            "what prepare leaves behind can never charge or hold money unless it is confirmed",
        ),
    ],
);

static AUTH: Section = Section {
    doc: "Who asks.",
    fields: &[
        optional("basic", Shape::Section(&BASIC), "user name and password"),
        optional("bearer", TEMPLATE_TEXT, "a bearer token: template"),
    ],
    exactly_one: &["basic", "bearer"],
};

static BASIC: Section = section(
    "User name and password.",
    &[
        required("user", TEMPLATE_TEXT, "user name: template"),
        default("password", TEMPLATE_TEXT, "\"\"", "password: template"),
    ],
);

static SIGN: Section = section(
    "A keyed hash (HMAC) over the request.",
    &[
        required("algorithm", choice(&["sha256", "sha512"]), "hash function"),
        required("key", TEMPLATE_TEXT, "the key: template"),
        default("key_encoding", choice(&["text", "hex", "base64"]), "text", "how the key is written"),
        required(
            "over",
            TEMPLATE_TEXT,
            "what is hashed: template over http_method, path, target, body, timestamp, nonce and the call",
        ),
        default("encoding", choice(&["hex", "base64"]), "hex", "how the hash is written"),
        required("header", Shape::Text(&ANY), "the field that carries it"),
        default("value", TEMPLATE_TEXT, "\"{{ signature }}\"", "what the field says: template"),
    ],
);

static OPERATIONS_SECTION: Section = section(
    "What the provider can be asked for.",
    &[
        optional("charge", OPERATION_SHAPE, "charge at once"),
        optional("prepare", OPERATION_SHAPE, "first step of two: the customer authenticates next"),
        optional("confirm", OPERATION_SHAPE, "second step of two"),
        optional("cancel", OPERATION_SHAPE, "give a prepared payment up"),
        optional("refund", OPERATION_SHAPE, "give captured money back, all or a part"),
        optional("lookup", OPERATION_SHAPE, "ask what became of an attempt"),
        optional("void", OPERATION_SHAPE, "take an attempt back, whatever became of it"),
    ],
);

const OPERATION_SHAPE: Shape = Shape::Section(&OPERATION);

static OPERATION: Section = section(
    "An operation.",
    &[
        default("local", Shape::Bool, "false", "of prepare: nothing is sent, the customer's device does it"),
        optional("next_action", TEMPLATES, "of a local prepare: what the device needs, templates by name"),
        optional(
            "handle",
            TEMPLATE_TEXT,
            "of lookup: what to ask for later, written down before each call; the order reference unless given",
        ),
        optional(
            "request",
            Shape::AnyOf(&[Shape::Section(&REQUEST), Shape::List { of: &Shape::Section(&REQUEST), min: 1 }]),
            "the request, or several of which the first whose `when` holds is sent",
        ),
        optional("let", EXPRESSIONS, "names for parts of the answer, in order: expressions"),
        optional("read", Shape::Section(&READ), "where the answer holds what"),
        optional(
            "expect",
            list(&choice(&["amount", "currency", "order_reference"]), 0),
            "which of these the answer repeats; another value is unknown, with an alarm",
        ),
        optional(
            "classify",
            list(&Shape::Section(&RULE), 1),
            "what answers mean: the first rule that holds; none: unknown",
        ),
    ],
);

static REQUEST: Section = section(
    "A request.",
    &[
        optional("when", EXPRESSION_TEXT, "only if this holds of the call"),
        required("method", choice(&["GET", "POST", "PUT", "PATCH", "DELETE"]), "HTTP method"),
        required("path", TEMPLATE_TEXT, "path below base_url: template; what is inserted is encoded"),
        optional("query", TEMPLATES, "query: templates by name; one that is `none` is left out"),
        optional("headers", TEMPLATES, "header fields: templates by name"),
        optional(
            "json",
            Shape::Any,
            "body: a tree whose texts are templates; a template of one expression keeps its kind",
        ),
        optional("form", TEMPLATES, "body: templates by name"),
    ],
);

static READ: Section = section(
    "Where an answer holds what: expressions over status, headers, body and the call.",
    &[
        optional("provider_ref", EXPRESSION_TEXT, "the provider's name for the payment or refund"),
        optional("amount", EXPRESSION_TEXT, "in minor units"),
        optional("currency", EXPRESSION_TEXT, "ISO 4217, upper case"),
        optional("order_reference", EXPRESSION_TEXT, "our name for the attempt"),
        optional("refunded", EXPRESSION_TEXT, "of lookup: what was given back by now, in minor units"),
        optional("decline_code", EXPRESSION_TEXT, "why it was declined"),
        optional("next_action", EXPRESSIONS, "what the customer's device needs, by name"),
    ],
);

static RULE: Section = section(
    "A rule of classification.",
    &[required("when", EXPRESSION_TEXT, "expression over the answer"), required("as", CLASS, "what it means then")],
);

static EXAMPLE: Section = section(
    "A recorded call with its answer.",
    &[
        required("name", Shape::Text(&ANY), "what it shows"),
        required("operation", choice(OPERATIONS), "which operation"),
        optional("call", Shape::Section(&CALL), "what differs from the standard call"),
        optional("request", Shape::Section(&EXPECTED), "parts that the request must have"),
        optional("answer", Shape::Section(&ANSWER), "the provider's answer"),
        optional("class", CLASS, "what the answer means"),
        optional(
            "reads",
            Shape::Table { keys: &KEY, values: &Shape::Any, min: 0 },
            "what must have been read of it: provider_ref, refunded, decline_code, next_action, doubt",
        ),
    ],
);

static CALL: Section = section(
    "A call; what is left out has a standard value.",
    &[
        default("amount", Shape::Integer { min: 1, max: MAX_AMOUNT }, "1234", "in minor units"),
        default("currency", Shape::Text(&ANY), "EUR", "ISO 4217"),
        default("method", Shape::Text(&ANY), "card", "payment method"),
        optional("token", Shape::Text(&ANY), "the client's token; tok_example in charge, prepare and confirm"),
        default("capture", Shape::Bool, "true", "whether to capture at once"),
        optional("provider_ref", Shape::Text(&ANY), "the provider's name for the payment"),
        optional("lookup", Shape::Text(&ANY), "the handle; the order reference unless given"),
        optional("metadata", Shape::Table { keys: &KEY, values: &Shape::Text(&ANY), min: 0 }, "the client's notes"),
        optional("found", Shape::Section(&FOUND), "of void: what the latest look found"),
    ],
);

static FOUND: Section = section(
    "What a look found.",
    &[required("class", CLASS, "its class"), optional("provider_ref", Shape::Text(&ANY), "the provider's name for it")],
);

static EXPECTED: Section = section(
    "Parts of a request.",
    &[
        optional("method", Shape::Text(&ANY), "HTTP method"),
        optional("path", Shape::Text(&ANY), "path with its query, as sent"),
        optional("headers", TEMPLATES, "fields by lower-case name"),
        optional("json", Shape::Any, "members that the JSON body has at least"),
        optional("form", TEMPLATES, "fields that the form has at least"),
    ],
);

static ANSWER: Section = section(
    "An answer.",
    &[
        required("status", Shape::Integer { min: 100, max: 999 }, "HTTP status"),
        optional("headers", TEMPLATES, "header fields by name"),
        optional("json", Shape::Any, "body: a document"),
        optional("text", TEMPLATE_TEXT, "body: as it is"),
    ],
);
