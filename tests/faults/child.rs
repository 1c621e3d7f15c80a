//! Running the program under test behind the shim, and reading what it said and did.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use evidenced::log::store::Paths;

use super::program;

/// A folder of its own for one run: `disk/state/store` is the store, of which at first not even `state` is there.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        // In memory where that is possible, since flushing a real disk thousands of times takes minutes.
        let folder = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        std::fs::create_dir(folder.path().join("disk")).unwrap();
        Self { folder }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("disk").canonicalize().unwrap()
    }

    pub(crate) fn store(&self) -> Paths {
        Paths::new(self.root().join("state").join("store"))
    }

    /// A command for the program under test, its changes traced.
    pub(crate) fn command(&self, workload: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", program::NAME, "--nocapture", "--test-threads", "1"])
            .env("FAULTS_WORKLOAD", workload)
            .env("FAULTS_STORE", self.store().directory())
            .env("SHIM_ROOT", self.root())
            .env("SHIM_TRACE", self.trace())
            .env("LD_PRELOAD", shim())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end with faults, as `shim.c` describes them.
    pub(crate) fn run(&self, workload: &str, faults: &str) -> Run {
        self.finish(self.command(workload).env("SHIM_FAULTS", faults).spawn().unwrap())
    }

    /// Waits for the program to end.
    pub(crate) fn finish(&self, child: Child) -> Run {
        let output = child.wait_with_output().unwrap();
        let trace = std::fs::read(self.trace()).unwrap_or_default();
        drop(std::fs::remove_file(self.trace()));
        let mut run = Run::parse(&String::from_utf8_lossy(&output.stdout), output.status);
        run.changes = Change::parse_all(&trace);
        run.complaints = String::from_utf8_lossy(&output.stderr).into_owned();
        run
    }

    fn trace(&self) -> PathBuf {
        self.folder.path().join("trace")
    }
}

/// Kills a program that runs by itself, and returns what it has said.
pub(crate) fn kill(mut child: Child) -> Run {
    child.kill().unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    Run::parse(&said, child.wait().unwrap())
}

/// What a run of the program under test came to.
pub(crate) struct Run {
    pub(crate) acks: Vec<Ack>,
    /// What else it said, a line each.
    pub(crate) said: Vec<String>,
    pub(crate) changes: Vec<Change>,
    pub(crate) complaints: String,
    pub(crate) status: ExitStatus,
}

impl Run {
    fn parse(said: &str, status: ExitStatus) -> Self {
        let (acks, said) = said
            .split_inclusive('\n')
            .filter_map(|line| line.strip_suffix('\n'))
            .partition::<Vec<_>, _>(|line| line.starts_with("ack "));
        Self {
            acks: acks.into_iter().map(Ack::parse).collect(),
            said: said.into_iter().map(str::to_owned).collect(),
            changes: Vec::new(),
            complaints: String::new(),
            status,
        }
    }

    pub(crate) fn said(&self, word: &str) -> bool {
        self.said.iter().any(|line| line.split(' ').next() == Some(word))
    }
}

/// A leaf that the program was given a receipt for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    pub(crate) seq: u64,
    pub(crate) hash: String,
    pub(crate) tag: String,
}

impl Ack {
    pub(crate) fn parse(line: &str) -> Self {
        let fields: Vec<_> = line.split(' ').collect();
        let ["ack", seq, hash, tag] = fields[..] else {
            panic!("{line:?} is no acknowledgement");
        };
        Self {
            seq: seq.parse().unwrap(),
            hash: hash.to_owned(),
            tag: tag.to_owned(),
        }
    }
}

/// A change to the disk, as the shim traced it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) operation: String,
    /// `-` if it was carried out.
    pub(crate) fault: String,
    pub(crate) inode: u64,
    pub(crate) offset: usize,
    pub(crate) path: String,
    /// What was written, where that was recorded.
    pub(crate) data: Vec<u8>,
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            operation,
            fault,
            offset,
            path,
            ..
        } = self;
        write!(f, "{fault} {operation} {path} at {offset}")
    }
}

impl Change {
    fn parse_all(trace: &[u8]) -> Vec<Self> {
        let mut changes = Vec::new();
        let mut rest = trace;
        // A death leaves no half of a line: each is one write.
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest = &rest[end + 1..];
            let fields: Vec<_> = line.splitn(7, ' ').collect();
            let [_, operation, fault, inode, offset, length, path] = fields[..] else {
                panic!("{line:?} is no change");
            };
            let (data, after) = rest.split_at(length.parse().unwrap());
            rest = after;
            changes.push(Self {
                operation: operation.to_owned(),
                fault: fault.to_owned(),
                inode: inode.parse().unwrap(),
                offset: offset.parse().unwrap(),
                path: path.to_owned(),
                data: data.to_vec(),
            });
        }
        changes
    }
}

/// The shim, compiled once.
fn shim() -> &'static Path {
    static SHIM: OnceLock<PathBuf> = OnceLock::new();
    SHIM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (made, shim) = (
            folder.join(format!("faults-shim-{}.so", std::process::id())),
            folder.join("faults-shim.so"),
        );
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let status = Command::new(&compiler)
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o"])
            .arg(&made)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/shim.c"))
            .arg("-pthread")
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => panic!("{compiler} ended with {status} on tests/faults/shim.c"),
            Err(error) => panic!("these tests need a C compiler, and {compiler} can't be run: {error}"),
        }
        // Other test runs may be using the old one.
        std::fs::rename(&made, &shim).unwrap();
        shim
    })
}
