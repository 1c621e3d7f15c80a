//! The machine, as far as collecting touches it: read a file, list a folder, follow a link, run a command.
//!
//! Reads only, and bounded: a file or answer that is too long and a command that does not end are faults like any
//! other. Commands run without a shell, in a fixed environment, from system folders only.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::io::Read;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

const FILE_LIMIT: u64 = 64 << 20;
const ANSWER_LIMIT: u64 = 4 << 20;
const FOLDERS: &[&str] = &["/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What collecting asks of a machine. [`LiveMachine`] is this one; tests have recorded ones.
#[async_trait]
pub trait Machine: Send + Sync {
    /// Who asks, and what the kernel says of itself.
    fn identity(&self) -> Identity;
    /// The content of a regular file.
    fn read(&self, path: &str) -> Result<Vec<u8>, Fault>;
    /// The names in a folder, sorted.
    fn list(&self, path: &str) -> Result<Vec<String>, Fault>;
    /// Where a symbolic link points, as written in it.
    fn link(&self, path: &str) -> Result<String, Fault>;
    /// When a file was last changed.
    fn modified(&self, path: &str) -> Result<DateTime<Utc>, Fault>;
    /// Runs a program of a system folder to its end.
    async fn command(&self, program: &str, arguments: &[&str], timeout: Duration) -> Result<Output, Fault>;
}

/// Who asks, and what the kernel says of itself (`uname`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Effective user; 0 is root.
    pub uid: u32,
    /// The host name.
    pub nodename: String,
    /// The kernel's release.
    pub release: String,
    /// The hardware's name: `x86_64`.
    pub architecture: String,
}

/// How a command ended, and what it wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The exit code; none if a signal ended it.
    pub exit: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Why the machine gave no answer. Display fits after "path: ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such file, folder or program.
    Absent,
    /// There is, or may be, and we are not allowed to look.
    Denied,
    /// The answer is longer than any true one.
    TooLong,
    /// The command did not end in time, and was killed.
    TimedOut,
    /// It is a folder, a device or a pipe.
    NotAFile,
    /// Anything else, by its error number.
    Failed(i32),
}

impl Fault {
    /// The fault as a call's status.
    pub fn status(&self) -> String {
        match self {
            Self::Absent => "ENOENT".to_owned(),
            Self::Denied => "EACCES".to_owned(),
            Self::TooLong => "too long".to_owned(),
            Self::TimedOut => "timeout".to_owned(),
            Self::NotAFile => "not a file".to_owned(),
            Self::Failed(number) => format!("errno {number}"),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => f.write_str("not there"),
            Self::Denied => f.write_str("not allowed to look"),
            Self::TooLong => f.write_str("longer than any true answer"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::NotAFile => f.write_str("not a regular file"),
            Self::Failed(number) => write!(f, "failed with error number {number}"),
        }
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        match error.kind() {
            Kind::NotFound | Kind::NotADirectory => Self::Absent,
            Kind::PermissionDenied => Self::Denied,
            _ => Self::Failed(error.raw_os_error().unwrap_or_default()),
        }
    }
}

/// The machine that this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveMachine;

#[async_trait]
impl Machine for LiveMachine {
    fn identity(&self) -> Identity {
        let uname = rustix::system::uname();
        Identity {
            uid: rustix::process::geteuid().as_raw(),
            nodename: uname.nodename().to_string_lossy().into_owned(),
            release: uname.release().to_string_lossy().into_owned(),
            architecture: uname.machine().to_string_lossy().into_owned(),
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, Fault> {
        // Asked before opening: opening a named pipe would wait for a writer.
        if !std::fs::metadata(path)?.is_file() {
            return Err(Fault::NotAFile);
        }
        let mut body = Vec::new();
        std::fs::File::open(path)?
            .take(FILE_LIMIT + 1)
            .read_to_end(&mut body)?;
        within(body, FILE_LIMIT)
    }

    fn list(&self, path: &str) -> Result<Vec<String>, Fault> {
        let mut names = std::fs::read_dir(path)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>, Fault>>()?;
        names.sort_unstable();
        Ok(names)
    }

    fn link(&self, path: &str) -> Result<String, Fault> {
        Ok(std::fs::read_link(path)?.to_string_lossy().into_owned())
    }

    fn modified(&self, path: &str) -> Result<DateTime<Utc>, Fault> {
        Ok(std::fs::metadata(path)?.modified()?.into())
    }

    async fn command(&self, program: &str, arguments: &[&str], timeout: Duration) -> Result<Output, Fault> {
        // By absolute path: sshd insists on having been started by one.
        let path = FOLDERS
            .iter()
            .map(|folder| PathBuf::from(folder).join(program))
            .find(|path| path.is_file())
            .ok_or(Fault::Absent)?;
        let mut child = Command::new(path)
            .args(arguments)
            .env_clear()
            .env("LC_ALL", "C")
            .env("PATH", FOLDERS.join(":"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        let ended = tokio::time::timeout(timeout, answer(&mut child))
            .await
            .unwrap_or(Err(Fault::TimedOut));
        if ended.is_err()
            && let Some(group) = group.and_then(rustix::process::Pid::from_raw)
        {
            // Its children too, which would else go on. It may have ended by itself meanwhile: nothing to do then.
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        }
        ended
    }
}

async fn answer(child: &mut Child) -> Result<Output, Fault> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(drain(stdout), drain(stderr))?;
    let exit = child.wait().await?.code();
    Ok(Output { exit, stdout, stderr })
}

async fn drain(pipe: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(ANSWER_LIMIT + 1).read_to_end(&mut body).await?;
    }
    within(body, ANSWER_LIMIT)
}

fn within(body: Vec<u8>, limit: u64) -> Result<Vec<u8>, Fault> {
    if body.len() as u64 > limit {
        Err(Fault::TooLong)
    } else {
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(program: &str, arguments: &[&str], millis: u64) -> Result<Output, Fault> {
        LiveMachine
            .command(program, arguments, Duration::from_millis(millis))
            .await
    }

    #[tokio::test]
    async fn a_command_runs_in_a_clean_environment() {
        let output = run("env", &[], 10_000).await.unwrap();
        assert_eq!(output.exit, Some(0));
        assert_eq!(
            String::from_utf8(output.stdout)
                .unwrap()
                .lines()
                .collect::<Vec<_>>(),
            ["LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        );
    }

    #[tokio::test]
    async fn a_command_that_hangs_or_never_stops_printing_or_is_not_there_is_a_fault() {
        assert_eq!(run("sleep", &["600"], 50).await, Err(Fault::TimedOut));
        assert_eq!(run("yes", &[], 60_000).await, Err(Fault::TooLong));
        assert_eq!(run("no-such-program", &[], 1000).await, Err(Fault::Absent));
    }

    #[tokio::test]
    async fn a_grandchild_that_keeps_the_pipe_open_dies_with_the_command() {
        let mark = "86399.25";
        assert_eq!(
            run("sh", &["-c", "sleep 86399.25 & exit 0"], 200).await,
            Err(Fault::TimedOut)
        );
        // Reaping is the kernel's; it needs a moment.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let alive = LiveMachine.list("/proc").unwrap().iter().any(|pid| {
            LiveMachine
                .read(&format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| {
                    line.windows(mark.len()).any(|part| part == mark.as_bytes()) && line.starts_with(b"sleep")
                })
        });
        assert!(!alive);
    }

    #[test]
    fn absent_and_folder_and_endless_files_are_told_apart() {
        assert_eq!(LiveMachine.read("/no/such/file"), Err(Fault::Absent));
        assert_eq!(LiveMachine.read("/"), Err(Fault::NotAFile));
        assert_eq!(LiveMachine.read("/dev/zero"), Err(Fault::NotAFile));
    }
}
