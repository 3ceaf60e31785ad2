//! A PostgreSQL server of a test's own: its data and its socket are in a temporary folder, and it ends
//! with the process that started it, however that ends. Shared by tests inside and outside of the library.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// Set to run the tests where PostgreSQL can't be installed; what is skipped is said on stderr.
const WITHOUT: &str = "FIGWAY_TEST_WITHOUT_POSTGRES";
/// Runs until its input ends, which is when the test's process does.
const SCRIPT: &str = r#"
    "$0/initdb" --pgdata="$1/data" --username=figway --auth=trust --encoding=UTF8 --locale=C --no-sync >"$1/log" 2>&1 &&
    "$0/pg_ctl" start -w -D "$1/data" -l "$1/log" -o "$2" >>"$1/log" 2>&1 || { cat "$1/log" >&2; exit 1; }
    echo ready
    cat >/dev/null
    "$0/pg_ctl" stop -m immediate -D "$1/data" >>"$1/log" 2>&1
    rm -rf "$1"
"#;

/// A running server.
pub(crate) struct PostgresServer {
    folder: TempDir,
    programs: PathBuf,
    user: Option<Account>,
    options: String,
    script: Child,
}

/// Whom the server runs as, because it refuses to run as root.
#[derive(Clone, Copy)]
struct Account {
    user: u32,
    group: u32,
}

impl PostgresServer {
    /// Starts a server; `None` if tests are to do without, which is said on stderr.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(|_| String::from("-c listen_addresses="))
    }

    /// Starts a server with these further options, which may name files of its folder.
    pub(crate) fn start_with(options: impl FnOnce(&Path) -> String) -> Option<Self> {
        if std::env::var_os(WITHOUT).is_some() {
            // Past the test harness, which would swallow what a passing test prints.
            let _ = writeln!(std::io::stderr(), "\nSKIPPED: a test against PostgreSQL, because {WITHOUT} is set");
            return None;
        }
        let programs = programs().unwrap_or_else(|| {
            panic!("PostgreSQL's server is not installed: run `make test-tools`, or set {WITHOUT}=1 to skip its tests")
        });
        let folder = tempfile::Builder::new().prefix("figway-pg-").tempdir().expect("a folder");
        let user = unprivileged();
        let options = format!("-k {} -c fsync=off {}", folder.path().display(), options(folder.path()));
        if let Some(Account { user, group }) = user {
            let files = std::fs::read_dir(folder.path()).expect("a folder").map(|file| file.expect("a file").path());
            for path in files.chain([folder.path().to_owned()]) {
                chown(path, Some(user), Some(group)).expect("root may give files away");
            }
        }
        let mut script = command_as(user, "sh");
        script.args(["-c", SCRIPT]).arg(&programs).arg(folder.path()).arg(&options).current_dir("/");
        let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut line = String::new();
        BufReader::new(script.stdout.take().expect("piped")).read_line(&mut line).expect("text");
        assert_eq!(line, "ready\n", "PostgreSQL did not start");
        Some(Self { folder, programs, user, options, script })
    }

    /// Makes an empty database and returns its URL.
    pub(crate) fn database(&self, name: &str) -> String {
        let arguments = ["-p", self.port(), "-U", "figway", name].map(OsStr::new);
        self.run("createdb", [OsStr::new("-h"), self.folder.path().as_os_str()].into_iter().chain(arguments));
        let folder = self.folder.path().to_str().expect("an ASCII path").replace('/', "%2F");
        format!("postgres://figway@{folder}:{}/{name}", self.port())
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn port(&self) -> &str {
        let mut words = self.options.split(' ').skip_while(|word| *word != "-p");
        words.nth(1).unwrap_or("5432")
    }

    /// Ends it as a crash would.
    pub(crate) fn stop(&self) {
        self.control(&["stop", "-m", "immediate", "-w"]);
    }

    /// Starts it again on the same data.
    pub(crate) fn start_again(&self) {
        let log = format!("{}/log", self.folder.path().display());
        self.control(&["start", "-w", "-l", &log, "-o", &self.options]);
    }

    fn control(&self, arguments: &[&str]) {
        let data = self.folder.path().join("data");
        let arguments = arguments.iter().map(OsStr::new).chain([OsStr::new("-D"), data.as_os_str()]);
        self.run("pg_ctl", arguments);
    }

    fn run<'a>(&self, program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) {
        let mut command = command_as(self.user, self.programs.join(program));
        command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
        let status = command.status().expect(program);
        assert!(status.success(), "{program}: {status}");
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

/// Where the server's programs are: Debian keeps them out of `PATH`. The newest version of several.
fn programs() -> Option<PathBuf> {
    let in_path = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut packaged: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect())
        .unwrap_or_default();
    packaged.sort_by_key(|path| path.parent().and_then(Path::file_name).and_then(OsStr::to_str)?.parse::<u32>().ok());
    let complete = |folder: &PathBuf| ["initdb", "pg_ctl", "createdb"].iter().all(|name| folder.join(name).is_file());
    packaged.into_iter().rev().chain(in_path.unwrap_or_default()).find(complete)
}

/// An account without rights, if this process is root.
fn unprivileged() -> Option<Account> {
    let users = std::fs::read_to_string("/etc/passwd").expect("every Unix has it");
    let me = std::fs::metadata("/proc/self").map(|me| std::os::unix::fs::MetadataExt::uid(&me)).expect("readable");
    if me != 0 {
        return None;
    }
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2).map(str::parse);
        Some(Account { user: fields.next()?.ok()?, group: fields.next()?.ok()? })
    };
    Some(ids("postgres").or_else(|| ids("nobody")).expect("an account to run PostgreSQL as"))
}

fn command_as(account: Option<Account>, program: impl AsRef<OsStr>) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    if let Some(Account { user, group }) = account {
        command.uid(user).gid(group);
    }
    command
}
