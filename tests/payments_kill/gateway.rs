//! The gateway's process and its client: the built binary on a configuration of the run's own.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::books::Books;
use crate::places::Tables;
use crate::ports::free_address;

pub(crate) const CHARGE: &str = r#"{"order_id":"o-1","amount":1234,"currency":"EUR","method":"card","token":"tok_1"}"#;
/// How long a start may take, and an answer.
const LIMIT: Duration = Duration::from_secs(60);

/// An answer of the gateway.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// A running gateway, or one that was killed.
pub(crate) struct Gateway {
    folder: TempDir,
    process: Child,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Gateway {
    /// Starts a gateway that pays by `alpha` as long as it can.
    pub(crate) fn start(tables: &Tables, alpha: &Books, beta: &Books) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("flags")).expect("a folder");
        let (address, admin) = (free_address(), free_address());
        let provider = |name: &str, books: &Books, weight: u32| {
            format!(
                "    - {{name: {name}, adapter: canonical, base_url: \"http://{}\", weight: {weight}, quiesce: 1s,\n       \
                 timeouts: {{connect: 1s, response: 2s}}}}\n",
                books.address()
            )
        };
        let config = format!(
            "server: {{listen: [\"{address}\"], threads: 1, drain: {{delay: 0s, timeout: 5s}}}}\n\
             admin: {{listen: \"{admin}\", anonymous: read}}\nflags: {{dir: flags}}\nstate: {{dir: state}}\n\
             backends: {{monolith: {{endpoints: [\"127.0.0.1:1\"]}}}}\n\
             routes: [{{name: all, path: \"/{{*rest}}\", auth: none, backend: monolith}}]\n\
             payments:\n  path: /pay\n  auth: none\n  deadline: 4s\n  ledger: {{{}}}\n  providers:\n{}{}",
            tables.configured(),
            provider("alpha", alpha, 100_000),
            provider("beta", beta, 1),
        );
        fs::write(folder.path().join("gateway.yaml"), config).expect("written");
        let mut gateway = Self { process: launch(&folder), folder, address, admin };
        gateway.await_ready();
        gateway
    }

    /// Starts it again, once the killed process is gone.
    pub(crate) fn start_again(&mut self) {
        self.process.wait().expect("reaped");
        self.process = launch(&self.folder);
        self.await_ready();
    }

    pub(crate) fn pid(&self) -> i32 {
        self.process.id().try_into().expect("process ids are small")
    }

    /// A call of the client API with a key; `None` if the gateway died over it.
    pub(crate) fn post(&self, path: &str, key: &str, body: &str) -> Option<Answer> {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nIdempotency-Key: {key}");
        exchange(self.address, &format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len()))
    }

    /// A GET to the control plane.
    pub(crate) fn admin(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin);
        exchange(self.admin, &request).expect("the control plane answers")
    }

    /// What the process said, without the lines for requests.
    pub(crate) fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().filter(|line| !line.contains("\"sent_bytes\"")).fold(String::new(), |log, line| log + line + "\n")
    }

    fn await_ready(&mut self) {
        let begun = Instant::now();
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin);
        while exchange(self.admin, &request).is_none_or(|answer| answer.status != 200) {
            let ended = self.process.try_wait().expect("a child's state");
            assert!(ended.is_none() && begun.elapsed() < LIMIT, "not ready ({ended:?}):\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn launch(folder: &TempDir) -> Child {
    let log = File::options().create(true).append(true).open(folder.path().join("log")).expect("a log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_figway"));
    command.args(["serve", "--config"]).arg(folder.path().join("gateway.yaml")).stdin(Stdio::null());
    command.stdout(log.try_clone().expect("a handle")).stderr(log).spawn().expect("the gateway starts")
}

/// One request on a connection of its own; `None` unless the whole answer came.
fn exchange(address: SocketAddr, request: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length =
        head.to_ascii_lowercase().split("content-length: ").nth(1)?.split("\r\n").next()?.parse::<usize>().ok()?;
    (body.len() == length).then(|| Answer { status, body: serde_json::from_str(body).unwrap_or_default() })
}
