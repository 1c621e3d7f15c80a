//! Root appends to a store that belongs to another user, as `evidenced-host.service` does, and that user goes on with it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

use super::tools::{is_root, not_tried};

const OWNER: u32 = 65_532;

/// A store that is [`OWNER`]'s, and the program where that user may run it.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), open).unwrap();
        let new = Self { folder };
        fs::copy(env!("CARGO_BIN_EXE_evidenced"), new.path("evidenced")).unwrap();
        fs::write(new.path("config.toml"), include_str!("../../config.example.toml")).unwrap();
        fs::create_dir(new.store()).unwrap();
        fs::set_permissions(new.store(), fs::Permissions::from_mode(0o700)).unwrap();
        chown(new.store(), Some(OWNER), Some(OWNER)).unwrap();
        new
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("store")
    }

    fn run(&self, user: u32, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.path("evidenced"));
        command
            .args(arguments)
            .arg("--config")
            .arg(self.path("config.toml"))
            .arg("--store")
            .arg(self.store())
            .current_dir("/")
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .uid(user)
            .gid(user);
        command.output().unwrap()
    }

    /// It ends with one of these codes, and all that lies in the store is its owner's.
    #[track_caller]
    fn ends(&self, user: u32, arguments: &[&str], codes: &[i32]) {
        let output = self.run(user, arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            codes.contains(&output.status.code().unwrap()),
            "{arguments:?} as {user}: {}\n{said}",
            output.status
        );
        owned(&self.store());
    }
}

#[track_caller]
fn owned(path: &Path) {
    let found = path.symlink_metadata().unwrap();
    assert_eq!((found.uid(), found.gid()), (OWNER, OWNER), "{}", path.display());
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            owned(&entry.unwrap().path());
        }
    }
}

#[test]
fn a_store_stays_its_owners_whatever_root_does_to_it() {
    if !is_root() {
        let why = "only root can be two users";
        return not_tried(
            "root and another user on one store",
            why,
            "EVIDENCED_REQUIRE_ROOT",
        );
    }
    // What root begins in a user's empty folder, and what it goes on with.
    let collect = ["collect", "--once", "host.baseline"];
    let place = Place::new();
    for user in [0, OWNER, 0, OWNER] {
        place.ends(user, &collect, &[0, 1, 3]);
    }
    place.ends(OWNER, &["verify"], &[0]);

    // A log that is put away, and the one that follows it.
    fs::remove_file(place.store().join("guard")).unwrap();
    place.ends(0, &["recover", "--reason", "a test"], &[0]);
    assert!(place.store().join("logs").is_dir());
    place.ends(OWNER, &collect, &[0, 1, 3]);
    place.ends(OWNER, &["verify"], &[0, 4]);

    // A daemon that root once started by hand.
    let mut daemon = Command::new(place.path("evidenced"));
    daemon
        .args(["collect", "--config"])
        .arg(place.path("config.toml"))
        .arg("--store")
        .arg(place.store())
        .stderr(Stdio::null());
    let mut daemon = daemon.spawn().unwrap();
    let lock = place.store().join("daemon.lock");
    for _ in 0..100 {
        if lock.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    owned(&place.store());
    assert!(lock.exists());
}
