//! Providers that others wrote, as processes of their own, and what their lists say.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;

use serde_json::Value;

/// The credential that these simulators take from anybody.
pub(crate) const API_KEY: &str = "sk_test_independent";

/// What signs webhooks.
pub(crate) const WEBHOOK_SECRET: &str = "whsec_independent";

/// A running simulator; ended when dropped.
pub(crate) struct Simulator {
    process: Child,
    port: u16,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Intents,
    Charges,
}

/// Where `make independent` installs, if it did.
pub(crate) fn installed() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/independent");
    if folder.join("stamp").exists() {
        return Some(folder);
    }
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        // Past the test harness, which would swallow what a passing test prints.
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: tests against other people's payment simulators; `make independent` installs them"
        );
    });
    None
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/independent").join(name)
}

impl Simulator {
    /// `localstripe`, for payment intents.
    pub(crate) fn localstripe() -> Option<Self> {
        let mut command = Command::new(installed()?.join("python/bin/python"));
        command.arg(script("localstripe_on_loopback.py"));
        Some(Self::start(command, Kind::Intents))
    }

    /// `stripe-stateful-mock`, for charges.
    pub(crate) fn stripe_stateful_mock() -> Option<Self> {
        let mut command = Command::new("node");
        command.arg(script("stripe_stateful_mock_on_loopback.js")).arg(installed()?.join("node"));
        Some(Self::start(command, Kind::Charges))
    }

    fn start(mut command: Command, kind: Kind) -> Self {
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut process = started.expect("the simulator starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let port = lines.next().expect("a line").expect("text").trim().parse().expect("its port");
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, port, kind }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// A means of payment that it takes.
    pub(crate) fn token(&self) -> String {
        match self.kind {
            Kind::Charges => "tok_visa".into(),
            Kind::Intents => "pm_card_visa".into(),
        }
    }

    /// The shop's orders whose money is here, one entry a capture that was not given back.
    pub(crate) fn captured_orders(&self) -> Vec<String> {
        let path = match self.kind {
            Kind::Intents => "/v1/payment_intents?limit=100",
            Kind::Charges => "/v1/charges?limit=100",
        };
        let listed: Value = serde_json::from_str(&self.call("GET", path, "")).expect("JSON");
        assert_eq!(listed["has_more"], false, "more than one page");
        let is_captured = |charge: &Value| match self.kind {
            Kind::Intents => charge["status"] == "succeeded" && !is_given_back(&charge["charges"]["data"][0]),
            Kind::Charges => charge["captured"] == true && charge["paid"] == true && !is_given_back(charge),
        };
        let charges = listed["data"].as_array().expect("a list").iter().filter(|charge| is_captured(charge));
        charges.map(|charge| charge["metadata"]["order"].as_str().expect("its order").to_owned()).collect()
    }

    /// Has it send its events there, signed with this secret; `localstripe` only.
    pub(crate) fn tell(&self, address: SocketAddr, path: &str, secret: &str) {
        self.call("POST", "/_config/webhooks/gateway", &format!("url=http://{address}{path}&secret={secret}"));
    }

    /// Calls it directly, past every proxy.
    fn call(&self, method: &str, path: &str, form: &str) -> String {
        let mut stream = TcpStream::connect(self.address()).expect("it listens");
        let request = format!(
            "{method} {path} HTTP/1.0\r\nhost: stripe.test\r\nauthorization: Bearer {API_KEY}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
            form.len()
        );
        stream.write_all(request.as_bytes()).expect("written");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("a whole answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(head.split(' ').nth(1) == Some("200"), "{method} {path}: {text}");
        body.to_owned()
    }
}

/// The value of `stripe-signature` as Stripe's own library makes it; `None` where it is not installed.
pub(crate) fn stripe_signature(at: i64, payload: &str) -> Option<String> {
    const PROGRAM: &str = "import stripe, sys\n\
        at, payload, secret = sys.argv[1:]\n\
        signature = stripe.WebhookSignature._compute_signature(f'{at}.{payload}', secret)\n\
        header = f't={at},v1={signature}'\n\
        stripe.Webhook.construct_event(payload, header, secret)\n\
        print(header)";
    let python = installed()?.join("python/bin/python");
    let output = Command::new(python).args(["-c", PROGRAM, &at.to_string(), payload, WEBHOOK_SECRET]).output();
    let output = output.expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn is_given_back(charge: &Value) -> bool {
    charge["refunded"] == true || charge["amount_refunded"] == charge["amount"]
}

impl Drop for Simulator {
    fn drop(&mut self) {
        let _ended_before = self.process.kill();
        let _ended = self.process.wait();
    }
}
