//! The gateway under test: the built binary, started on a configuration of its own, ended with the test.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::ports::free_address;
use super::{FakeBackend, LIMIT, RawClient, Response, TokenMint, eventually};

/// What goes into `gateway.yaml`.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    server: BTreeMap<&'static str, String>,
    sections: BTreeMap<&'static str, String>,
    backends: Vec<String>,
    routes: Vec<String>,
    files: Vec<(String, String)>,
    descriptors: Option<u32>,
}

impl Builder {
    /// Leaves the process so many files and sockets.
    pub(crate) fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// Sets a key of the `server` section.
    pub(crate) fn server(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.server.insert(key, value.into());
        self
    }

    /// Adds a backend with one endpoint.
    pub(crate) fn backend(self, name: &str, backend: &FakeBackend) -> Self {
        self.backend_with(name, &[backend.address], "")
    }

    /// Adds a backend; `more` holds further keys, each begun with a comma.
    pub(crate) fn backend_with(mut self, name: &str, endpoints: &[SocketAddr], more: &str) -> Self {
        let endpoints: Vec<_> = endpoints.iter().map(|address| format!("\"{address}\"")).collect();
        self.backends.push(format!("  {name}: {{endpoints: [{}]{more}}}", endpoints.join(", ")));
        self
    }

    /// Adds a route, written as in the file.
    pub(crate) fn route(mut self, route: &str) -> Self {
        self.routes.push(format!("  - {route}"));
        self
    }

    /// Adds an open route for every path to a backend.
    pub(crate) fn open_route(self, backend: &str) -> Self {
        self.route(&format!(r#"{{name: all, path: "/{{*rest}}", auth: none, backend: {backend}}}"#))
    }

    /// Adds a file beside the configuration.
    pub(crate) fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Adds a whole section, its lines indented.
    pub(crate) fn section(mut self, name: &'static str, lines: impl Into<String>) -> Self {
        self.sections.insert(name, lines.into());
        self
    }

    /// Trusts a mint's tokens; `sub` and `role` become `x-user-id` and `x-user-role`.
    pub(crate) fn auth(mut self, mint: &TokenMint) -> Self {
        self.sections.insert("auth", mint.auth_section());
        self.file("jwks.json", &mint.jwks())
    }

    fn text(&self, address: SocketAddr, admin: SocketAddr) -> String {
        let mut server = self.server.clone();
        server.insert("listen", format!("[\"{address}\"]"));
        server.entry("threads").or_insert_with(|| "1".into());
        server.entry("drain").or_insert_with(|| "{delay: 0s, timeout: 5s}".into());
        let server: Vec<_> = server.iter().map(|(key, value)| format!("  {key}: {value}")).collect();
        let sections: Vec<_> = self.sections.iter().map(|(key, value)| format!("{key}:\n{value}")).collect();
        format!(
            "server:\n{}\nadmin:\n  listen: \"{admin}\"\n  anonymous: operate\nflags: {{dir: flags}}\n\
             state: {{dir: state}}\n{}\nbackends:\n{}\nroutes:\n{}\n",
            server.join("\n"),
            sections.join("\n"),
            self.backends.join("\n"),
            self.routes.join("\n"),
        )
    }

    /// Writes the files, starts the gateway and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(self) -> TestGateway {
        let folder = tempfile::tempdir().expect("a folder");
        let (address, admin) = (free_address(), free_address());
        fs::create_dir(folder.path().join("flags")).expect("a flags folder");
        for (file, text) in &self.files {
            fs::write(folder.path().join(file), text).expect("a file");
        }
        fs::write(folder.path().join("gateway.yaml"), self.text(address, admin)).expect("a configuration");
        let child = launch(folder.path(), self.descriptors);
        let mut gateway = TestGateway { child, folder, descriptors: self.descriptors, address, admin };
        gateway.await_ready();
        gateway
    }
}

fn launch(folder: &Path, descriptors: Option<u32>) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("a log");
    let limit = descriptors.map_or_else(String::new, |most| format!("ulimit -n {most} && "));
    Command::new("sh")
        .args(["-c", &format!("{limit}exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_figway"), "serve", "--config"])
        .arg(folder.join("gateway.yaml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("the gateway starts")
}

/// A running gateway; killed when dropped.
#[derive(Debug)]
pub(crate) struct TestGateway {
    child: Child,
    folder: TempDir,
    descriptors: Option<u32>,
    /// Where clients connect.
    pub(crate) address: SocketAddr,
    /// Where the control plane listens.
    pub(crate) admin: SocketAddr,
}

impl TestGateway {
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// A gateway whose only route is open and leads to this backend.
    #[track_caller]
    pub(crate) fn before(backend: &FakeBackend) -> Self {
        Self::builder().backend("backend", backend).open_route("backend").start()
    }

    #[track_caller]
    fn await_ready(&mut self) {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child's state") {
                panic!("the gateway ended with {status}:\n{}", self.log());
            }
            if self.is_ready() {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "not ready:\n{}", self.log());
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// What goes wrong here is no failure: another test's child process may hold the port's socket for a moment, from
    /// when it was tried out, and a connection to it is reset.
    fn is_ready(&self) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect(self.admin)?;
            stream.set_read_timeout(Some(LIMIT))?;
            write!(stream, "GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
    }

    /// A new connection of a client.
    #[track_caller]
    pub(crate) fn client(&self) -> RawClient {
        RawClient::connect(self.address)
    }

    /// Sends one request on a connection of its own and reads the answer.
    #[track_caller]
    pub(crate) fn exchange(&self, request: impl AsRef<[u8]>) -> Response {
        self.client().send(request).response()
    }

    /// A plain GET on a connection of its own, with further header lines (each ended by CRLF).
    #[track_caller]
    pub(crate) fn get(&self, target: &str, headers: &str) -> Response {
        self.exchange(format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n"))
    }

    /// A GET to the control plane.
    #[track_caller]
    pub(crate) fn admin_get(&self, path: &str) -> Response {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin);
        RawClient::connect(self.admin).send(request).response()
    }

    /// The sum of a metric over all its labels; 0 when it is not there.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.admin_get("/metrics").text();
        let values =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        values.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// What the process wrote: its log, and the access log unless configured elsewhere.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A file of the gateway's folder.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Replaces a file by rename, as a careful editor does.
    pub(crate) fn replace(&self, file: &str, text: &str) {
        let new = self.path("replacement");
        fs::write(&new, text).expect("a new file");
        fs::rename(new, self.path(file)).expect("renamed");
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.expect("kill runs").success());
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub(crate) fn await_exit(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the gateway ends", || {
            status = self.child.try_wait().expect("a child's state");
            status.is_some()
        });
        status.expect("it ended")
    }

    /// Kills the process without a chance to tidy up, and starts it again on the same files.
    #[track_caller]
    pub(crate) fn kill_and_restart(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("reaped");
        self.child = launch(self.folder.path(), self.descriptors);
        self.await_ready();
    }

    /// Resident memory in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("process status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        let ended = self.child.try_wait().ok().flatten();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let end = ended.map_or_else(|| "it ran until now".to_owned(), |status| format!("it ended with {status}"));
            eprintln!("the gateway's log ({end}):\n{}", self.log());
        }
    }
}
