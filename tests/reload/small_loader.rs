//! A loader of a tiny language: enough to be right, wrong, missing a flag, or in need of a restart.
//!
//! `gateway.yaml` is a JSON-like mapping `{listen, state, flags, needs: [flag…], extra: file}`; flag
//! files map keys to `{kind: migration, stage, percent, killed, description}` or `{kind: switch, state}`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use figway::auth::Authenticator;
use figway::clock::Timestamp;
use figway::config::{Loaded, Overlay, is_flag_file, sha256, state_dir_by_text};
use figway::flags::{Flag, FlagSet, Kind, StickyBy, parse_percent};
use figway::routing::RouteTable;
use figway::snapshot::{
    AccessLog, Admin, AnonymousAccess, ClientTimeouts, Diagnostic, Drain, Limits, Server, Severity, Snapshot, Startup,
};
use figway::types::{FlagKey, Revision};
use serde_json::Value;

/// One run of the loader.
struct Reading<'a> {
    overlay: &'a Overlay,
    loaded: Loaded,
}

pub(crate) fn load(config: &Path, overlay: &Overlay) -> Loaded {
    let state_dir = state_dir_by_text(config);
    let loaded = Loaded {
        diagnostics: Vec::new(),
        snapshot: None,
        files: Vec::new(),
        flags_dir: None,
        state_dir,
        startup_places: BTreeMap::new(),
    };
    let mut reading = Reading { overlay, loaded };
    if let Some(snapshot) = reading.snapshot(config)
        && reading.loaded.diagnostics.is_empty()
    {
        reading.loaded.snapshot = Some(snapshot);
    }
    reading.loaded
}

impl Reading<'_> {
    fn snapshot(&mut self, config: &Path) -> Option<Snapshot> {
        let settings = self.yaml(config)?;
        let beside = |key: &str| Some(config.parent()?.join(settings.get(key)?.as_str()?));
        let (flags_dir, state_dir) = (beside("flags")?, beside("state")?);
        self.loaded.flags_dir = Some(flags_dir.clone());
        self.loaded.state_dir = state_dir.clone();
        if let Some(extra) = beside("extra") {
            self.read(&extra)?;
        }
        let mut flags = FlagSet::default();
        for path in self.list(&flags_dir) {
            let Some(Value::Object(definitions)) = self.yaml(&path) else { continue };
            for (key, definition) in definitions {
                match flag(&key, &definition, &path) {
                    Ok(flag) => drop(flags.flags.insert(FlagKey::from(key), Arc::new(flag))),
                    Err(message) => self.error(&path, &format!("{key}: {message}")),
                }
            }
        }
        for needed in settings["needs"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !flags.flags.contains_key(needed) {
                self.error(config, &format!("a route needs flag {needed:?}, which no file defines"));
            }
        }
        let listen = settings["listen"].as_str()?.parse().ok()?;
        Some(snapshot(listen, state_dir, flags, self.hash()))
    }

    fn hash(&self) -> String {
        self.loaded.files.iter().map(|(_, digest)| digest.as_str()).collect::<Vec<_>>().join("+")
    }

    fn list(&self, folder: &Path) -> Vec<PathBuf> {
        if let Some(listing) = self.overlay.listing(folder) {
            return listing;
        }
        let entries = std::fs::read_dir(folder).into_iter().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| folder.join(entry.expect("entry").file_name())).collect();
        paths.retain(|path| is_flag_file(path));
        paths.sort();
        paths
    }

    fn yaml(&mut self, path: &Path) -> Option<Value> {
        let text = self.read(path)?;
        match serde_saphyr::from_str::<Value>(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                self.error(path, &error.to_string());
                None
            }
        }
    }

    fn read(&mut self, path: &Path) -> Option<String> {
        let on_disk = || std::fs::read_to_string(path);
        let text = self.overlay.content(path).map_or_else(on_disk, |text| Ok(text.to_owned()));
        let text = text.map_err(|error| error.to_string());
        let text = text.and_then(|text| if text.len() > 1 << 20 { Err("larger than 1 MiB".into()) } else { Ok(text) });
        let digest = text.as_ref().map(|text| sha256(text.as_bytes())).unwrap_or_default();
        self.loaded.files.push((path.to_path_buf(), digest));
        text.map_err(|error| self.error(path, &error)).ok()
    }

    fn error(&mut self, path: &Path, message: &str) {
        let file = path.file_name().expect("a file").to_string_lossy().into_owned();
        let message = message.to_owned();
        let found = Diagnostic { severity: Severity::Error, file, line: 3, column: 7, path: String::new(), message };
        self.loaded.diagnostics.push(found);
    }
}

fn flag(key: &str, definition: &Value, path: &Path) -> Result<Flag, String> {
    let fields = definition.as_object().ok_or("not a mapping")?;
    let known = ["kind", "stage", "percent", "killed", "state", "description", "rules", "sticky_by"];
    if let Some(unknown) = fields.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("unknown key {unknown:?}"));
    }
    let text = |field: &str| fields.get(field).and_then(Value::as_str);
    let kind = match text("kind") {
        // Without a type to read into, the YAML reader takes a plain `off` for a boolean.
        Some("switch") => Kind::Switch {
            on: match fields.get("state").ok_or("state is missing")? {
                Value::Bool(on) => *on,
                other => other == "on",
            },
        },
        Some("migration") => Kind::Migration {
            stage: text("stage").ok_or("stage is missing")?.parse().map_err(|error| format!("{error}"))?,
            percent: match fields.get("percent") {
                Some(percent) => parse_percent(&percent.to_string()).map_err(|error| error.to_string())?,
                None => 0,
            },
        },
        _ => return Err("kind is migration or switch".into()),
    };
    Ok(Flag {
        key: key.into(),
        kind,
        description: text("description").map(Into::into),
        owner: None,
        expires: None,
        sticky_by: StickyBy::User,
        salt: key.into(),
        rules: Vec::new(),
        killed: fields.get("killed").is_some_and(|killed| *killed == Value::Bool(true)),
        file: format!("flags/{}", path.file_name().expect("a file").to_string_lossy()),
    })
}

fn snapshot(listen: std::net::SocketAddr, state_dir: PathBuf, flags: FlagSet, hash: String) -> Snapshot {
    Snapshot {
        revision: Revision(0),
        hash,
        created: Timestamp::now(),
        stale: false,
        startup: Startup { listen: vec![listen], threads: 1, admin_listen: None, state_dir, ledger: None },
        server: Server {
            tls: None,
            trusted_proxies: Vec::new(),
            debug_headers: false,
            limits: Limits::default(),
            timeouts: ClientTimeouts::default(),
            max_connections: 10,
            drain: Drain { delay: Duration::ZERO, timeout: Duration::ZERO },
            access_log: AccessLog::Off,
        },
        admin: Admin { anonymous: AnonymousAccess::Read, tokens: Vec::new() },
        auth: Arc::new(Authenticator::new(Vec::new(), Vec::new())),
        flags,
        backends: Vec::new(),
        routes: Vec::new(),
        table: RouteTable::default(),
        payments: None,
        warnings: Vec::new(),
    }
}

/// The flags of a snapshot as `key=stage:percent` or `key=on|off`, for short comparisons.
pub(crate) fn summary(snapshot: &Snapshot) -> BTreeMap<String, String> {
    let say = |flag: &Flag| match (&flag.kind, flag.killed) {
        (_, true) => "killed".to_owned(),
        (Kind::Migration { stage, percent }, _) => format!("{}:{percent}", stage.as_str()),
        (Kind::Switch { on }, _) => if *on { "on" } else { "off" }.to_owned(),
        (Kind::Split(_), _) => "split".to_owned(),
    };
    snapshot.flags.flags.iter().map(|(key, flag)| (key.to_string(), say(flag))).collect()
}
