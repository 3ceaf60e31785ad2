//! The adapters that ship: the exact requests they write, what no answer can make of them, and `figway payments try`.

#[path = "payment_adapters/requests.rs"]
mod requests;
#[path = "payment_adapters/trial.rs"]
mod trial;

use std::path::Path;
use std::sync::Arc;

use figway::config::{self, Kept, Overlay};
use figway::payments::adapter::Call;
use figway::payments::{Currency, Money, Operation, Provider};

const REFERENCE: &str = "01M7Y3A9VY0FQQAMKRC02P2MQT-1";

/// A provider that speaks an adapter of `config/providers`, with `sk_test` for its secret.
fn provider(adapter: &str) -> Arc<Provider> {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "sk_test\n").expect("a secret");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("config/providers/{adapter}.yaml"));
    let name = if adapter == "canonical" { "api_key" } else { "secret_key" };
    let text = serde_json::json!({
        "server": {"listen": ["127.0.0.1:0"]},
        "backends": {"none": {"endpoints": ["127.0.0.1:1"]}},
        "routes": [{"name": "none", "path": "/", "auth": "none", "backend": "none"}],
        "payments": {
            "path": "/pay", "auth": "none", "ledger": {"embedded": "none"},
            "providers": [{
                "name": "one", "adapter": file.display().to_string(), "base_url": "http://127.0.0.1:1", "weight": 1,
                "credentials": {name: {"file": secret.display().to_string()}},
            }],
        },
    });
    let config = folder.path().join("gateway.yaml");
    let overlay = Overlay { files: [(config.clone(), text.to_string())].into(), ..Overlay::default() };
    let loaded = config::load_over(&config, &Kept::default(), &overlay);
    let snapshot = loaded.snapshot.unwrap_or_else(|| panic!("{adapter}: {:#?}", loaded.diagnostics));
    Arc::clone(&snapshot.payments.as_ref().expect("payments").providers[0])
}

/// A payment of 12.34 EUR.
fn call(operation: Operation) -> Call<'static> {
    let client = matches!(operation, Operation::Charge | Operation::Prepare | Operation::Confirm);
    Call {
        operation,
        provider_key: "key-1",
        order_reference: REFERENCE,
        lookup: REFERENCE,
        provider_ref: None,
        money: Money { amount: 1234, currency: Currency::parse("EUR").expect("listed") },
        method: "card",
        capture: true,
        token: client.then_some("tok_1"),
        metadata: &[],
        refund_reference: (operation == Operation::Refund).then_some("01M7Y3A9VY0FQQAMKRC02P2MQT-1-r1"),
        found: None,
    }
}
