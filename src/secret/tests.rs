//! References as they are written, what they resolve to, and that no value is ever shown.

use secrecy::ExposeSecret as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[derive(Debug, serde::Deserialize)]
struct Vendor {
    token: SecretRef,
}

/// The message that a vendor's settings get, whose two lines say what is wrong and what to do.
fn refusal(token: &str) -> String {
    match toml::from_str::<Vendor>(&format!("token = {token}")) {
        Ok(vendor) => panic!("accepted: {:?}", vendor.token),
        Err(error) => error.message().to_owned(),
    }
}

fn reference(token: &str) -> SecretRef {
    toml::from_str::<Vendor>(&format!("token = {token}"))
        .unwrap()
        .token
}

fn resolve(reference: &SecretRef) -> Result<SecretString, SecretError> {
    resolve_with(reference, None)
}

fn resolve_with(reference: &SecretRef, credentials: Option<&Path>) -> Result<SecretString, SecretError> {
    reference.resolve(&SecretSources {
        variable: &|name| match name {
            "TOKEN" => Some("hunter2\n".into()),
            "EMPTY" => Some("\n".into()),
            "BYTES" => Some(OsString::from_vec(b"hunter2\xff".to_vec())),
            _ => None,
        },
        credentials_directory: credentials,
    })
}

/// What the user is told.
fn told(result: Result<SecretString, SecretError>) -> String {
    Problem::from(&result.unwrap_err()).to_string()
}

/// A file with a secret in it and a mode.
fn file(folder: &tempfile::TempDir, mode: u32) -> PathBuf {
    let path = folder.path().join("token");
    fs::write(&path, "hunter2\r\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn each_form_of_reference_is_read() {
    assert_eq!(
        reference("{ env = \"TOKEN\" }"),
        SecretRef::Env("TOKEN".to_owned())
    );
    assert_eq!(
        reference("{ file = \"/t\" }"),
        SecretRef::File(PathBuf::from("/t"))
    );
    assert_eq!(
        reference("{ credential = \"gh.token\" }"),
        SecretRef::Credential("gh.token".to_owned())
    );
}

#[test]
fn a_secret_in_place_of_a_reference_is_refused_and_not_repeated() {
    let expected = "a secret is written here, and must not be in a configuration\nsay where it is: \
                    { env = \"NAME\" }, { file = \"/path\" } or { credential = \"NAME\" }; \
                    and replace the secret, since others may have read it";
    for literal in [
        "\"hunter2\"",
        "'hunter2'",
        "4711",
        "99999999999999999999",
        "1.5",
        "true",
        "[\"hunter2\"]",
    ] {
        assert_eq!(refusal(literal), expected, "{literal}");
    }
}

#[test]
fn a_malformed_reference_is_explained_and_not_repeated() {
    let forms = "{ env = \"NAME\" }, { file = \"/path\" } or { credential = \"NAME\" }";
    let unknown = "an unknown key in the reference to a secret\n";
    assert_eq!(
        refusal("{ evn = \"hunter2\" }"),
        format!("{unknown}did you mean \"env\"? say where it is: {forms}")
    );
    assert_eq!(
        refusal("{ hunter2 = true }"),
        format!("{unknown}say where it is: {forms}")
    );
    assert_eq!(
        refusal("1979-05-27"),
        format!("{unknown}say where it is: {forms}")
    );
    assert_eq!(
        refusal("{}"),
        format!("where the secret is, is not said\nsay where it is: {forms}")
    );
    assert_eq!(
        refusal("{ env = \"A\", file = \"/b\" }"),
        format!("a secret is in one place, and several are given\nkeep one of {forms}")
    );
    for value in ["4711", "[\"hunter2\"]", "{ a = \"hunter2\" }"] {
        assert_eq!(
            refusal(&format!("{{ env = {value} }}")),
            format!("what says where a secret is must be text\nwrite {forms}")
        );
    }
    for name in ["", "1A", "hunter2", "HUNTER 2", "A=HUNTER2"] {
        assert_eq!(
            refusal(&format!("{{ env = {name:?} }}")),
            "env must be the name of an environment variable\n\
             write capital letters, digits and underscores: { env = \"NAME\" }"
        );
    }
    assert_eq!(
        refusal("{ file = \"hunter2\" }"),
        "file must be an absolute path\nwrite { file = \"/path\" }"
    );
    for name in ["", "..", "../hunter2", "/hunter2", "a:b", "a b"] {
        assert_eq!(
            refusal(&format!("{{ credential = {name:?} }}")),
            "credential must be the name of a systemd credential, not a path\nwrite { credential = \"NAME\" }"
        );
    }
}

#[test]
fn a_reference_resolves_to_the_value_without_its_newline() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o400, 0o600, 0o440, 0o640] {
        let secret = resolve(&SecretRef::File(file(&folder, mode))).unwrap();
        assert_eq!(secret.expose_secret(), "hunter2");
    }
    let secret = resolve(&SecretRef::Env("TOKEN".to_owned())).unwrap();
    assert_eq!(secret.expose_secret(), "hunter2");
    file(&folder, 0o444);
    let credential = SecretRef::Credential("token".to_owned());
    let secret = resolve_with(&credential, Some(folder.path())).unwrap();
    assert_eq!(secret.expose_secret(), "hunter2");
    assert!(!format!("{secret:?}").contains("hunter2"));
}

#[test]
fn a_missing_secret_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    assert_eq!(
        told(resolve(&SecretRef::Env("NONE".to_owned()))),
        "environment variable NONE is not set\n  \
         help: set NONE for the process, or refer to a file or credential instead"
    );
    assert_eq!(
        told(resolve(&SecretRef::File(folder.path().join("none")))),
        format!("{path}/none can't be read: no such file\n  help: create the file, or correct the reference")
    );
    let credential = SecretRef::Credential("token".to_owned());
    assert_eq!(
        told(resolve(&credential)),
        "credential \"token\" is not there: $CREDENTIALS_DIRECTORY is not set\n  \
         help: run evidenced as a systemd service with LoadCredential=token:/path, or refer to a file instead"
    );
    assert_eq!(
        told(resolve_with(&credential, Some(folder.path()))),
        format!(
            "{path}/token can't be read: no such file\n  help: create the file, or correct the reference"
        )
    );
    // Root may read everything, so the refusal is made rather than provoked.
    let denied = SecretError::Unreadable {
        path: PathBuf::from("/t"),
        source: io::Error::from(io::ErrorKind::PermissionDenied),
    };
    assert_eq!(
        told(Err(denied)),
        "/t can't be read: permission denied\n  \
         help: let the user that runs evidenced read the file and its folders"
    );
}

#[test]
fn a_file_open_to_every_user_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o644, 0o604, 0o602] {
        let path = file(&folder, mode);
        let shown = path.display();
        assert_eq!(
            told(resolve(&SecretRef::File(path.clone()))),
            format!(
                "{shown} is open to every user of this machine (mode {mode:04o})\n  \
                 help: run `chmod o-rwx {shown}` (Kubernetes: defaultMode 0440), \
                 and replace the secret, since others may have read it"
            )
        );
    }
}

#[test]
fn what_is_no_secret_is_refused_and_not_repeated() {
    let help = "  help: put the secret there, and nothing else";
    assert_eq!(
        told(resolve(&SecretRef::Env("EMPTY".to_owned()))),
        format!("environment variable EMPTY is empty\n{help}")
    );
    assert_eq!(
        told(resolve(&SecretRef::Env("BYTES".to_owned()))),
        format!("environment variable BYTES is not UTF-8\n{help}")
    );
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, 0o600);
    fs::write(&path, "hunter2".repeat(10_000)).unwrap();
    let shown = path.display();
    assert_eq!(
        told(resolve(&SecretRef::File(path.clone()))),
        format!("{shown} is over 64 KiB, which no secret is\n{help}")
    );
    let shown = folder.path().display();
    assert_eq!(
        told(resolve(&SecretRef::File(folder.path().to_path_buf()))),
        format!("{shown} is not a regular file\n  help: put the secret in a regular file")
    );
}

#[test]
fn a_pipe_without_a_writer_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(told(resolve(&SecretRef::File(path))).contains("is not a regular file"));
}
