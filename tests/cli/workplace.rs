//! A place to run the program in, as a user would: its own folder, home and store, and nothing of the developer's.

use rusqlite::params;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

use evidenced::log::checkpoint::Signer;
use evidenced::log::store::{Paths, Reader};
use evidenced::log::tree::{self, Frontier};
use evidenced::log::{guard, leaf};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_evidenced");

/// How a run ended.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Insists on a status, and shows what was said if it is another.
    #[track_caller]
    pub(crate) fn ends(self, status: i32) -> Self {
        assert_eq!(self.status, status, "stdout:\n{}stderr:\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// A folder with `work` (the current one), `home` and, once something is collected, `store`.
pub(crate) struct Workplace {
    folder: TempDir,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["work", "home"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self { folder }
    }

    /// One whose store holds what `evidenced collect --once` sealed on this machine: leaves 0 to 4.
    pub(crate) fn collected() -> Self {
        let new = Self::new();
        copy(&collected().place.store(), &new.store());
        new
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path("store")
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::open(&Paths::new(self.store())).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path("work").join(name), text).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command
            .args(arguments)
            .current_dir(self.path("work"))
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env("STATE_DIRECTORY", self.store())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(&self.command(arguments).output().unwrap())
    }

    /// Every file and folder below, with its bytes.
    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        tree(self.folder.path())
    }
}

pub(crate) fn ran(output: &Output) -> Ran {
    Ran {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

/// The one collection of this machine that all tests share, since it takes seconds.
pub(crate) struct Collection {
    pub(crate) place: Workplace,
    pub(crate) ran: Ran,
}

pub(crate) fn collected() -> &'static Collection {
    static ONCE: OnceLock<Collection> = OnceLock::new();
    ONCE.get_or_init(|| {
        let place = Workplace::new();
        place.write("evidenced.toml", include_str!("../../config.example.toml"));
        let before = tree(&place.path("work"));
        let ran = place.run(&["collect", "--once", "--format", "json"]);
        assert!(ran.status < 2, "{}", ran.err);
        assert_eq!(
            before,
            tree(&place.path("work")),
            "the current folder stays clean"
        );
        assert_eq!(tree(&place.path("home")).len(), 0, "and so does home");
        Collection { place, ran }
    })
}

pub(crate) fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
            found.insert(path, Vec::new());
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

/// Copies a folder that nobody writes to, with its files' modes.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(0o700)).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Makes the newest leaf another one, hashed and signed as only who has the key can: the log is whole afterwards.
pub(crate) fn forge_newest(store: &Path, change: impl FnOnce(&str) -> String) {
    let paths = Paths::new(store);
    let database = rusqlite::Connection::open(paths.database()).unwrap();
    let mut statement = database.prepare("SELECT bytes FROM leaf ORDER BY seq").unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    let mut leaves: Vec<Vec<u8>> = rows.map(Result::unwrap).collect();
    let newest = leaves.pop().unwrap();
    let forged = change(std::str::from_utf8(&newest).unwrap()).into_bytes();
    assert_ne!(newest, forged);
    let (seq, hash) = (leaves.len(), tree::hash_leaf(&forged));
    let kind = leaf::decode(&forged).unwrap().kind;
    let mut frontier = Frontier::default();
    for leaf in leaves.iter().chain([&forged]) {
        frontier.push(0, tree::hash_leaf(leaf), |_, _, _| {});
    }
    let key = std::fs::read_to_string(paths.key()).unwrap();
    let note = Signer::parse(&key.into())
        .unwrap()
        .sign(frontier.size(), &frontier.root());
    let leaf_of = "UPDATE leaf SET bytes = ?, hash = ? WHERE seq = ?";
    database.execute(leaf_of, params![forged, hash, seq]).unwrap();
    let entry_of = "UPDATE entry SET kind = ? WHERE seq = ?";
    database.execute(entry_of, params![kind, seq]).unwrap();
    let note_of = "UPDATE checkpoint SET note = ? WHERE size = ?";
    database.execute(note_of, params![note, seq + 1]).unwrap();
    if paths.guard().exists() {
        let slot = guard::encode_slot(&note).unwrap();
        std::fs::write(paths.guard(), [slot, slot].concat()).unwrap();
    }
}
