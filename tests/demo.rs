//! The demo as a newcomer meets it: the built binary, started in an empty folder, and the walk that it prints.
//!
//! Usual ports may be taken by anything on this machine; whatever the demo prints instead must be true.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);

/// A running demo and what it printed.
struct Demo {
    process: Child,
    guide: Vec<String>,
    _folder: tempfile::TempDir,
}

/// An answer, its header names in lower case.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("an empty folder");
        let mut process = Command::new(env!("CARGO_BIN_EXE_figway"))
            .args(["demo", "--no-traffic", "--port", "0", "--admin-port", "0"])
            .current_dir(folder.path())
            // A demo that is killed can't take its private copy along; this folder ends with the test.
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.path().join("log")).expect("a file"))
            .spawn()
            .expect("the demo starts");
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let mut guide = Vec::new();
        for line in lines.by_ref() {
            let line = line.expect("text");
            let is_last = line.contains("Other ways to break it");
            guide.push(line);
            if is_last {
                break;
            }
        }
        if guide.is_empty() {
            panic!(
                "the demo did not start: {}",
                std::fs::read_to_string(folder.path().join("log")).unwrap_or_default()
            );
        }
        drop(lines); // as `head` does; the demo must not mind
        Self { process, guide, _folder: folder }
    }

    /// The word after a label of the guide's head, or after `export NAME=`.
    fn said(&self, label: &str) -> &str {
        let after = self.guide.iter().find_map(|line| line.trim_start().strip_prefix(label));
        after.and_then(|rest| rest.split_whitespace().next()).unwrap_or_else(|| panic!("{label:?} is not in the guide"))
    }

    fn address(&self, label: &str) -> SocketAddr {
        self.said(label).trim_start_matches("http://").parse().expect("an address")
    }

    fn member(&self) -> Answer {
        let token = format!("authorization: Bearer {}\r\n", self.said("export TOKEN="));
        call(self.address("gateway"), "GET", "/api/v1/members/7", &token, "")
    }

    fn pay(&self, order: &str) -> Answer {
        let headers = format!(
            "authorization: Bearer {}\r\ncontent-type: application/json\r\nidempotency-key: {order}\r\n",
            self.said("export TOKEN=")
        );
        let body = json!({"order_id": order, "amount": 19_900, "currency": "KRW", "method": "card", "token": "tok_demo",
            "metadata": {"order": order}});
        call(self.address("gateway"), "POST", "/api/v1/payments", &headers, &body.to_string())
    }

    fn desk(&self, path: &str) -> Answer {
        call(self.address("providers"), "GET", path, "", "")
    }

    fn figway(&self, line: &str) {
        let output = Command::new(env!("CARGO_BIN_EXE_figway"))
            .args(line.split_whitespace())
            .env("FIGWAY_ADMIN", self.said("export FIGWAY_ADMIN="))
            .output()
            .expect("figway runs");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// SIGTERM, as an orchestrator sends it; returns the exit code.
    fn end(&mut self) -> Option<i32> {
        let kill = Command::new("kill").arg(self.process.id().to_string()).status().expect("kill runs");
        assert!(kill.success());
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            if let Some(status) = self.process.try_wait().expect("a child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the demo does not end");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ended_before = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn call(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a socket");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a whole answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.into(), body: body.into() }
}

#[test]
fn the_walk_is_true() {
    let demo = Demo::start();

    let answer = demo.member();
    assert_eq!((answer.status, answer.header("x-served-by")), (200, "monolith"), "{}", answer.head);
    assert!(answer.header("x-figway-decision").contains("flag=member-api; variant=legacy"), "{}", answer.head);
    assert_eq!(call(demo.address("gateway"), "GET", "/api/v1/members/7", "", "").status, 401);

    demo.figway("flags set member-api stage=new --reason walk --yes");
    let answer = demo.member();
    assert_eq!((answer.status, answer.header("x-served-by")), (200, "members"), "{}", answer.head);

    demo.figway("flags kill member-api --reason walk");
    let answer = demo.member();
    assert_eq!(answer.header("x-served-by"), "monolith");
    assert!(answer.header("x-figway-decision").contains("reason=KILLED"), "{}", answer.head);

    demo.figway("flags undo member-api --reason walk --yes");
    assert_eq!(demo.member().header("x-served-by"), "members");
}

#[test]
fn one_providers_outage_stops_no_order_and_charges_nobody_twice() {
    let demo = Demo::start();
    let first = demo.pay("order-0");
    assert_eq!((first.status, &first.json()["status"]), (201, &json!("succeeded")), "{}", first.body);

    assert_eq!(demo.desk("/alpha/outage?mode=down").status, 200);
    for number in 1..=8 {
        let answer = demo.pay(&format!("order-{number}"));
        assert_eq!((answer.status, &answer.json()["provider"]), (201, &json!("beta")), "{}", answer.body);
    }
    assert_eq!(demo.desk("/alpha/outage?mode=off").status, 200);

    let books = demo.desk("/books").json();
    assert_eq!(books["charged_more_than_once"], json!([]));
    let charged: u64 =
        books["books"].as_array().expect("books").iter().filter_map(|book| book["charged"].as_u64()).sum();
    assert_eq!(charged, 9, "{books}");
}

#[test]
fn an_order_whose_outcome_is_unknown_is_pending_and_tried_nowhere_else() {
    let demo = Demo::start();
    for provider in ["alpha", "beta"] {
        assert_eq!(demo.desk(&format!("/{provider}/outage?mode=lost")).status, 200);
    }
    let answer = demo.pay("order-0");
    assert_eq!((answer.status, &answer.json()["status"]), (202, &json!("pending")), "{}", answer.body);
    let books = demo.desk("/books").json();
    let charged: u64 =
        books["books"].as_array().expect("books").iter().filter_map(|book| book["charged"].as_u64()).sum();
    assert_eq!(charged, 1, "{books}");
}

#[test]
fn the_demo_ends_cleanly_and_takes_its_files_along() {
    let mut demo = Demo::start();
    let flags = PathBuf::from(demo.said("flags"));
    assert!(flags.join("members.yaml").exists());
    assert_eq!(demo.end(), Some(0));
    assert!(!flags.exists());
}
