//! `figway payments try`: one call to a provider, shown as it is sent, answered and judged. Nothing is recorded, and
//! nothing but a look is sent unless it is asked for twice.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::check;
use crate::app::admin_client::{block_on, encode};
use crate::app::cli::TryArgs;
use crate::app::output::{outline, print_as};
use crate::config::{self, Kept, Overlay};
use crate::payments::adapter::{Ability, Answer, Call, WireRequest};
use crate::payments::{BaseUrl, CallError, HttpTransport, Money, Operation, Provider, Transport as _, Verdict};
use crate::snapshot::Severity;

/// So much of a body is shown.
const SHOWN: usize = 4096;
/// Fields whose values are nobody's business.
const PRIVATE: &[&str] = &["authorization", "set-cookie"];

pub(crate) fn run(args: &TryArgs) -> anyhow::Result<ExitCode> {
    let provider = provider(args)?;
    let call = Call {
        operation: args.operation,
        provider_key: &format!("figway-try-{:016x}", fastrand::u64(..)),
        order_reference: &args.reference,
        lookup: args.handle.as_deref().unwrap_or(&args.reference),
        provider_ref: args.provider_ref.as_deref(),
        money: Money { amount: args.amount, currency: args.currency },
        method: &args.method,
        capture: !args.no_capture,
        token: args.token.as_deref(),
        metadata: &[],
        refund_reference: Some(&args.reference).filter(|_| args.operation == Operation::Refund).map(String::as_str),
        found: None,
    };
    match provider.adapter.ability(args.operation) {
        Ability::Call => {}
        Ability::Local => bail!("this adapter's {} sends nothing: the device does it", args.operation.as_str()),
        Ability::None => bail!("this adapter has no {}", args.operation.as_str()),
    }
    let request = provider.adapter.request(&call)?;
    let mask = Mask { provider: &provider, token: args.token.as_deref() };
    let mut shown = json!({"adapter": provider.adapter.name(), "request": mask.request(&request)});
    if args.operation != Operation::Lookup && !args.really {
        shown["sent"] = "no: this may move money; add --really to send it".into();
        print_as(args.output.output, &shown, outline)?;
        return Ok(ExitCode::FAILURE);
    }
    let within = provider.timeouts.connect + provider.timeouts.response;
    let answered =
        block_on(async { Ok(HttpTransport::default().call(&provider, request, Instant::now() + within).await) })?;
    let known = match answered {
        Ok(answer) => {
            shown["answer"] = mask.answer(&answer);
            let verdict = provider.adapter.classify(&call, &answer);
            shown["verdict"] = json!(verdict);
            shown["because"] = provider.adapter.explain(&call, &answer).into();
            !matches!(verdict, Verdict::Unknown { .. })
        }
        Err(CallError::NotSent { proof, detail }) => {
            shown["verdict"] = json!(Verdict::NotProcessed { proof });
            shown["because"] = format!("nothing was sent: {detail}").into();
            false
        }
        Err(CallError::InDoubt { doubt, detail }) => {
            shown["verdict"] = json!(Verdict::Unknown { doubt });
            shown["because"] = format!("it was sent, and there is no answer: {detail}").into();
            false
        }
    };
    print_as(args.output.output, &shown, outline)?;
    Ok(if known { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The provider to call: one of the configuration, or one made up around an adapter.
fn provider(args: &TryArgs) -> anyhow::Result<Provider> {
    let (config, overlay, name) = match &args.config {
        Some(config) => (config.clone(), Overlay::default(), args.what.as_str()),
        None => {
            let (config, overlay) = around(args)?;
            (config, overlay, "trial")
        }
    };
    let loaded = config::load_over(&config, &Kept::default(), &overlay);
    let Some(snapshot) = loaded.snapshot else {
        let errors: Vec<_> = loaded.diagnostics.into_iter().filter(|one| one.severity == Severity::Error).collect();
        eprint!("{}", check::diagnostics(&errors));
        bail!("nothing was sent");
    };
    let settings = snapshot.payments.and_then(Arc::into_inner).context("the configuration has no payments")?;
    let known = settings.providers.iter().map(|provider| provider.name.as_str()).collect::<Vec<_>>().join(", ");
    let found = settings.providers.into_iter().find(|provider| provider.name.as_str() == name);
    let found = found.and_then(Arc::into_inner);
    let mut provider = found.with_context(|| format!("there is no provider {name:?}; there are {known}"))?;
    if let (Some(_), Some(url)) = (&args.config, &args.base_url) {
        let url = BaseUrl::parse(url)?;
        if url.is_https() != provider.base_url.is_https() {
            bail!("the provider's own base_url is {}; a trial needs the same scheme", provider.base_url);
        }
        provider.base_url = url;
    }
    Ok(provider)
}

/// The least configuration with one provider that speaks the adapter; the file exists in memory alone.
fn around(args: &TryArgs) -> anyhow::Result<(PathBuf, Overlay)> {
    let credentials: Map<_, _> = args
        .credentials
        .iter()
        .map(|credential| (credential.name.clone(), json!({"env": credential.variable})))
        .collect();
    let adapter = if args.what.ends_with(".yaml") {
        std::path::absolute(&args.what)?.display().to_string()
    } else {
        args.what.clone()
    };
    // JSON is YAML.
    let text = json!({
        "server": {"listen": ["127.0.0.1:0"]},
        "backends": {"none": {"endpoints": ["127.0.0.1:1"]}},
        "routes": [{"name": "none", "path": "/", "auth": "none", "backend": "none"}],
        "payments": {
            "path": "/payments", "auth": "none", "ledger": {"embedded": "none"},
            "providers": [
                {"name": "trial", "adapter": adapter, "base_url": args.base_url, "weight": 1, "credentials": credentials}
            ],
        },
    });
    let path = Path::new("figway payments try").to_path_buf();
    Ok((path.clone(), Overlay { files: [(path, text.to_string())].into(), ..Overlay::default() }))
}

/// Takes secrets out of what is shown.
struct Mask<'a> {
    provider: &'a Provider,
    token: Option<&'a str>,
}

impl Mask<'_> {
    fn text(&self, text: &str) -> String {
        let masked = self.provider.adapter.masked(text);
        match self.token.filter(|token| token.len() > 3) {
            Some(token) => masked.replace(token, "[token]").replace(&encode(token), "[token]"),
            None => masked,
        }
    }

    fn headers<'h>(&self, headers: impl Iterator<Item = (&'h str, &'h [u8])>) -> Value {
        let shown = headers.map(|(name, value)| {
            let value = String::from_utf8_lossy(value);
            let value = match value.split_once(' ').filter(|_| name == "authorization") {
                Some((scheme, _)) => format!("{scheme} [masked]"),
                None if PRIVATE.contains(&name) => "[masked]".to_owned(),
                None => self.text(&value),
            };
            (name.to_owned(), Value::from(value))
        });
        Value::Object(shown.collect())
    }

    fn body(&self, body: &[u8]) -> String {
        let text = self.text(&String::from_utf8_lossy(body));
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{}… ({} bytes)", &text[..end], body.len()),
            None => text,
        }
    }

    fn request(&self, request: &WireRequest) -> Value {
        let url = &self.provider.base_url;
        let scheme = if url.is_https() { "https" } else { "http" };
        let target = self.text(&url.target(&request.path));
        let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        json!({
            "method": request.method.as_str(),
            "url": format!("{scheme}://{}{target}", url.authority()),
            "headers": self.headers(headers),
            "body": self.body(&request.body),
        })
    }

    fn answer(&self, answer: &Answer) -> Value {
        let headers = answer.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        json!({
            "status": answer.status.as_u16(),
            "headers": self.headers(headers),
            "body": self.body(&answer.body),
        })
    }
}
