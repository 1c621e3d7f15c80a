//! The image: built around the program that was just compiled, by the last stage of the Containerfile, and run as the
//! documentation says.
//!
//! podman is the one in reach, or else the distribution's (as root only: it would need setuid programs otherwise). Where
//! neither can be, `EVIDENCED_REQUIRE_CONTAINER=1` makes that a failure.

use serde_json::Value;
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

use super::kubernetes::REQUIREMENTS;
use super::python;
use super::tools::{in_path, is_root, not_tried, output, unpacked};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/container");
const CONTAINERFILE: &str = include_str!("../../deploy/container/Containerfile");
const COMPOSE: &str = include_str!("../../deploy/container/compose.yaml");
const CONFIG: &str = include_str!("container/config.toml");

/// podman, with storage and configuration of its own.
struct Podman {
    program: PathBuf,
    /// Where it was unpacked, if it was.
    root: Option<PathBuf>,
    home: TempDir,
}

impl Podman {
    fn new() -> Result<Self, String> {
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        if let Some(program) = in_path("podman") {
            return Ok(Self {
                program,
                root: None,
                home,
            });
        }
        if !is_root() {
            return Err("podman is not installed, and running an unpacked one needs root".to_owned());
        }
        let root = unpacked(&["podman", "crun"])?;
        let own = Self {
            program: root.join("usr/bin/podman"),
            root: Some(root),
            home,
        };
        own.configure();
        Ok(own)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What a package manager would have put into /etc/containers.
    fn configure(&self) {
        let root = self.root.as_ref().unwrap().display();
        let configuration = format!(
            "[engine]\nruntime = \"crun\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
             conmon_path = [\"{}\"]\n[engine.runtimes]\ncrun = [\"{}\"]\n[network]\nnetwork_backend = \"cni\"\n",
            self.path("conmon").display(),
            self.path("crun").display(),
        );
        let files = [
            ("containers.conf", configuration.as_str()),
            ("registries.conf", "unqualified-search-registries = []\n"),
            (
                ".config/containers/policy.json",
                r#"{"default": [{"type": "insecureAcceptAnything"}]}"#,
            ),
        ];
        for (name, text) in files {
            let path = self.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        // podman starts conmon without its own environment, and conmon both crun and podman.
        let set: Vec<_> = self
            .environment()
            .into_iter()
            .map(|(name, value)| format!("export {name}={value}\n"))
            .collect();
        for name in ["conmon", "crun"] {
            let script = format!("#!/bin/sh\n{}exec {root}/usr/bin/{name} \"$@\"\n", set.concat());
            let path = self.path(name);
            fs::write(&path, script).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let Some(root) = &self.root else {
            return Vec::new();
        };
        let root = root.display();
        let architecture = format!("{}-linux-gnu", std::env::consts::ARCH);
        let file = |name: &str| self.path(name).display().to_string();
        vec![
            (
                "LD_LIBRARY_PATH",
                format!("{root}/usr/lib/{architecture}:{root}/lib/{architecture}"),
            ),
            ("CONTAINERS_CONF", file("containers.conf")),
            ("CONTAINERS_REGISTRIES_CONF", file("registries.conf")),
            ("HOME", file("")),
        ]
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = if self.root.is_some() && has_hybrid_cgroups() {
            // crun refuses a second hierarchy that has controllers: where podman looks there is none.
            let mut command = Command::new("unshare");
            let script = "umount -l /sys/fs/cgroup/unified && exec \"$0\" \"$@\"";
            command
                .args(["--mount", "--propagation", "private", "sh", "-c", script])
                .arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.envs(self.environment());
        command
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.path("storage"))
            .arg("--runroot")
            .arg(self.path("run"))
            .args(arguments);
        command
    }

    fn says(&self, arguments: &[&str]) -> String {
        let output =
            output(&mut self.command(arguments)).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.command(&["rm", "--all", "--force", "--time=0"])
            .output()
            .ok();
        if !is_root() {
            // Its files belong to other users of its namespace.
            let (storage, run) = (self.path("storage"), self.path("run"));
            let mut remove = Command::new(&self.program);
            remove
                .args(["unshare", "rm", "-rf"])
                .args([storage, run])
                .output()
                .ok();
        }
    }
}

/// Both generations of control groups side by side, the newer with controllers.
fn has_hybrid_cgroups() -> bool {
    fs::read_to_string("/sys/fs/cgroup/unified/cgroup.controllers").is_ok_and(|it| !it.trim().is_empty())
}

#[test]
fn the_image_runs_without_rights_or_a_writable_root_and_keeps_its_store() {
    let podman = match Podman::new() {
        Ok(podman) => podman,
        Err(why) => return not_tried("the container image", &why, "EVIDENCED_REQUIRE_CONTAINER"),
    };
    build(&podman);
    its_image_is_as_documented(&podman);
    its_root_holds_no_shell(&podman);

    let config = podman.path("config.toml");
    // The network is this machine's, where other tests run, too.
    let port = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    fs::write(&config, CONFIG.replace("9464", &port.to_string())).unwrap();
    let config = format!("{}:/etc/evidenced/config.toml:ro", config.display());
    // As compose.yaml has it. No cgroups, network or health checks of its own: not every machine can.
    let confined = [
        "--read-only",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--tmpfs=/tmp",
        "--volume=evidence:/var/lib/evidenced",
        "--cgroups=disabled",
        "--network=host",
        "--no-healthcheck",
        "--ulimit=nofile=1024:1024",
        "--ulimit=nproc=1024:1024",
        "--volume",
        &config,
    ];
    let run = |more: &[&str]| -> Command { podman.command(&[&["run"], &confined[..], more].concat()) };
    let once = |arguments: &[&str]| {
        let output = run(&[&["--rm", "evidenced:test"], arguments].concat())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (
            output.status.code(),
            said + &String::from_utf8_lossy(&output.stderr),
        )
    };

    // The container can't see the host: unknown, which is sealed, and 1.
    let (code, said) = once(&["collect", "--once"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Sealed in /var/lib/evidenced"), "{said}");
    let (code, said) = once(&["verify"]);
    assert_eq!(code, Some(0), "{said}");

    // The daemon, over the same store.
    podman.says(
        &[
            &["run"],
            &confined[..],
            &["--detach", "--name=daemon", "evidenced:test"],
        ]
        .concat(),
    );
    let health = health(&podman);
    let healthy = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let arguments: Vec<_> = ["exec", "daemon"]
            .into_iter()
            .chain(health.iter().map(String::as_str))
            .collect();
        output(&mut podman.command(&arguments)).is_ok()
    });
    let logs = || {
        let output = podman.command(&["logs", "daemon"]).output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(healthy, "{health:?}\n{}", logs());
    podman.says(&["stop", "--time=30", "daemon"]);
    let state = podman.says(&["inspect", "--format", "{{.State.ExitCode}}", "daemon"]);
    assert_eq!(state.trim(), "0", "{}", logs());
    let (code, said) = once(&["verify"]);
    assert_eq!(code, Some(0), "{said}");
}

/// Around the compiled program, without a compiler and without a registry.
fn build(podman: &Podman) {
    let files = podman.path("files");
    let rootfs = Path::new(FOLDER).join("rootfs");
    output(
        Command::new(rootfs)
            .arg(env!("CARGO_BIN_EXE_evidenced"))
            .arg(&files),
    )
    .unwrap();
    let context = podman.path("context");
    fs::create_dir(&context).unwrap();
    let containerfile = format!("{FOLDER}/Containerfile");
    let built = podman.says(&[
        "build",
        "--isolation=chroot",
        "--format=docker",
        "--file",
        &containerfile,
        "--build-context",
        &format!("rootfs={}", files.display()),
        "--tag=evidenced:test",
        context.to_str().unwrap(),
    ]);
    assert!(!built.contains("rust:"), "it began with a compiler: {built}");
}

fn image(podman: &Podman) -> Value {
    let inspected = podman.says(&["image", "inspect", "evidenced:test"]);
    let mut inspected: Value = serde_json::from_str(&inspected).unwrap();
    let mut config = inspected[0]["Config"].take();
    // podman has it beside, Docker among the others.
    if config["Healthcheck"].is_null() {
        config["Healthcheck"] = inspected[0]["Healthcheck"].take();
    }
    config
}

/// The command of the health check.
fn health(podman: &Podman) -> Vec<String> {
    let test = image(podman)["Healthcheck"]["Test"].take();
    let test: Vec<String> = serde_json::from_value(test).unwrap();
    assert_eq!(test[0], "CMD");
    test[1..].to_vec()
}

fn its_image_is_as_documented(podman: &Podman) {
    let image = image(podman);
    assert_eq!(image["User"], "65532:65532");
    assert_eq!(image["Entrypoint"], serde_json::json!(["/usr/bin/evidenced"]));
    assert_eq!(image["Cmd"], serde_json::json!(["collect"]));
    assert_eq!(image["StopSignal"], "SIGTERM");
    assert!(image["Volumes"].get("/var/lib/evidenced").is_some());
    assert_eq!(image["Labels"]["org.opencontainers.image.licenses"], "Apache-2.0");
}

fn its_root_holds_no_shell(podman: &Podman) {
    let files = podman.path("files/root");
    let listed = output(Command::new("find").arg(&files).args(["-type", "f"])).unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let programs: Vec<_> = listed.lines().filter(|path| path.contains("/bin/")).collect();
    assert_eq!(programs, [files.join("usr/bin/evidenced").to_str().unwrap()]);
    let roots = fs::read_to_string(files.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(roots.matches("BEGIN CERTIFICATE").count() > 50);
}

#[test]
fn the_image_has_the_version_and_compiler_of_the_program() {
    assert!(CONTAINERFILE.contains(concat!("ARG VERSION=", env!("CARGO_PKG_VERSION"), "\n")));
    let from = format!("FROM docker.io/library/rust:{}.", env!("CARGO_PKG_RUST_VERSION"));
    assert!(CONTAINERFILE.contains(&from), "{from}");
}

#[test]
fn hadolint_finds_nothing_in_the_containerfile() {
    let python = python::installed("kubernetes-validate", REQUIREMENTS);
    let mut hadolint = Command::new(python.with_file_name("hadolint"));
    output(hadolint.arg("Containerfile").current_dir(FOLDER)).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn compose_grants_no_more_than_the_image_needs() {
    assert!(COMPOSE.contains(concat!("image: evidenced:", env!("CARGO_PKG_VERSION"), "\n")));
    for line in [
        "read_only: true",
        "cap_drop: [ALL]",
        "security_opt: [\"no-new-privileges:true\"]",
        "evidence:/var/lib/evidenced",
    ] {
        assert!(COMPOSE.contains(line), "{line}");
    }
    for line in ["privileged", "cap_add", "docker.sock", "network_mode", "pid:"] {
        assert!(!COMPOSE.contains(line), "{line}");
    }
}
