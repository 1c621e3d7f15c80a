//! Which configuration and which store: by command line, environment and custom, in a fixed order.
//!
//! The environment is a value, so that tests own it; only [`Environment::of_process`] looks at the real one.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Problem, read_limited, unreadable};

/// What the surroundings of the process say about where things are. Empty variables count as unset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// `$EVIDENCED_CONFIG`.
    pub config: Option<PathBuf>,
    /// `$STATE_DIRECTORY`, set by systemd: one folder, or several with colons between.
    pub state_directory: Option<OsString>,
    /// `$XDG_STATE_HOME`.
    pub xdg_state_home: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY`, set by systemd.
    pub credentials_directory: Option<PathBuf>,
    /// Whether the effective user is root.
    pub is_root: bool,
    /// The working folder; empty: the process's own.
    pub current_directory: PathBuf,
    /// The machine's configuration: `/etc/evidenced/config.toml`.
    pub system_config: PathBuf,
}

impl Environment {
    /// The real surroundings of this process.
    pub fn of_process() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            config: variable("EVIDENCED_CONFIG").map(PathBuf::from),
            state_directory: variable("STATE_DIRECTORY"),
            xdg_state_home: variable("XDG_STATE_HOME").map(PathBuf::from),
            home: variable("HOME").map(PathBuf::from),
            credentials_directory: variable("CREDENTIALS_DIRECTORY").map(PathBuf::from),
            is_root: rustix::process::geteuid().is_root(),
            current_directory: PathBuf::new(),
            system_config: PathBuf::from("/etc/evidenced/config.toml"),
        }
    }

    /// The folder of the store where neither command line nor configuration names one: the first of `$STATE_DIRECTORY`,
    /// else `/var/lib/evidenced` as root, else `evidenced` in the XDG state folder.
    pub fn store_directory(&self) -> Result<PathBuf, Problem> {
        let absolute = |path: &&PathBuf| path.is_absolute();
        let first_state_directory = self
            .state_directory
            .as_ref()
            .and_then(|list| list.as_bytes().split(|byte| *byte == b':').next())
            .filter(|first| !first.is_empty());
        if let Some(first) = first_state_directory {
            return Ok(PathBuf::from(OsStr::from_bytes(first)));
        }
        if self.is_root {
            return Ok(PathBuf::from("/var/lib/evidenced"));
        }
        // The XDG base directory specification has relative paths ignored.
        if let Some(state) = self.xdg_state_home.as_ref().filter(absolute) {
            return Ok(state.join("evidenced"));
        }
        match self.home.as_ref().filter(absolute) {
            Some(home) => Ok(home.join(".local/state/evidenced")),
            None => Err(Problem::new(
                "no folder is known for the store: $HOME is not set to an absolute path",
            )
            .help("name one with --store, or as directory in [store] of the configuration")),
        }
    }

    /// The files that may hold the configuration, the first that exists counting.
    fn customary_configs(&self) -> [PathBuf; 2] {
        [
            self.current_directory.join("evidenced.toml"),
            self.system_config.clone(),
        ]
    }
}

impl Config {
    /// The configuration that counts: `named` (`--config`), else `$EVIDENCED_CONFIG`, else `./evidenced.toml`, else
    /// `/etc/evidenced/config.toml`, else the embedded default. A file named by the user must exist; of the other
    /// two, one that exists and can't be read is an error too, lest another configuration be taken for it.
    pub fn find(named: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        if let Some(path) = named.or(environment.config.as_deref()) {
            return Self::load(&environment.current_directory.join(path));
        }
        for path in environment.customary_configs() {
            match read_limited(&path) {
                Ok(bytes) => return Self::parse(&bytes, Some(&path)),
                // A link to nowhere was put there by somebody, and means that a file is missing.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {}
                Err(error) => return Err(unreadable(&path, &error).into()),
            }
        }
        Self::embedded()
    }

    /// The folder of the store: `named` (`--store`), else this configuration's, else as
    /// [`Environment::store_directory`] says.
    pub fn store_directory(
        &self,
        named: Option<&Path>,
        environment: &Environment,
    ) -> Result<PathBuf, Problem> {
        match named.or(self.store_directory.as_deref()) {
            Some(path) => Ok(environment.current_directory.join(path)),
            None => environment.store_directory(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const SOURCE: &str = "source = [{ name = \"a\", type = \"host\", \
                          collectors.\"host.baseline\".schedule = \"0 * * * *\" }]\n";

    fn told<T: std::fmt::Debug>(result: Result<T, impl std::fmt::Display>) -> String {
        result.map_or_else(|error| error.to_string(), |value| format!("{value:?}"))
    }

    #[test]
    fn the_first_configuration_that_exists_counts() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, name: &str| {
            let path = folder.path().join(file);
            fs::write(&path, format!("name = \"{name}\"\n{SOURCE}")).unwrap();
            path
        };
        let mut environment = Environment {
            current_directory: folder.path().to_path_buf(),
            system_config: folder.path().join("system.toml"),
            ..Environment::default()
        };
        let name = |named: Option<&Path>, environment: &Environment| {
            Config::find(named, environment).map(|config| config.name.as_str().to_owned())
        };
        assert_eq!(name(None, &environment).unwrap(), "evidenced");
        write("system.toml", "system");
        assert_eq!(name(None, &environment).unwrap(), "system");
        write("evidenced.toml", "here");
        assert_eq!(name(None, &environment).unwrap(), "here");
        environment.config = Some(write("variable.toml", "variable"));
        assert_eq!(name(None, &environment).unwrap(), "variable");
        write("flag.toml", "flag");
        assert_eq!(name(Some(Path::new("flag.toml")), &environment).unwrap(), "flag");

        environment.config = Some(PathBuf::from("none.toml"));
        let path = folder.path().display();
        assert!(told(name(None, &environment)).starts_with(&format!("{path}/none.toml: no such file\n")));
    }

    #[test]
    fn a_customary_configuration_that_is_there_but_unreadable_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment {
            current_directory: folder.path().to_path_buf(),
            system_config: folder.path().join("etc/config.toml"),
            ..Environment::default()
        };
        fs::create_dir(folder.path().join("etc")).unwrap();
        let path = folder.path().join("evidenced.toml");
        let found = || told(Config::find(None, &environment).map(|_| ()));
        assert_eq!(found(), "()");

        symlink("nowhere", &path).unwrap();
        assert!(found().contains("evidenced.toml: no such file"), "{}", found());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(
            found().contains("evidenced.toml: a directory, not a file"),
            "{}",
            found()
        );
    }

    #[test]
    fn the_store_lies_where_the_first_that_speaks_says() {
        let config = Config::parse(SOURCE.as_bytes(), None).unwrap();
        let place = |config: &Config, named: Option<&str>, environment: &Environment| {
            told(config.store_directory(named.map(Path::new), environment)).replace('"', "")
        };
        let mut environment = Environment {
            current_directory: PathBuf::from("/here"),
            ..Environment::default()
        };
        assert_eq!(
            place(&config, None, &environment),
            "no folder is known for the store: $HOME is not set to an absolute path\n  \
             help: name one with --store, or as directory in [store] of the configuration"
        );
        environment.home = Some(PathBuf::from("/people/ann"));
        assert_eq!(
            place(&config, None, &environment),
            "/people/ann/.local/state/evidenced"
        );
        environment.xdg_state_home = Some(PathBuf::from("relative"));
        assert_eq!(
            place(&config, None, &environment),
            "/people/ann/.local/state/evidenced"
        );
        environment.xdg_state_home = Some(PathBuf::from("/state"));
        assert_eq!(place(&config, None, &environment), "/state/evidenced");
        environment.is_root = true;
        assert_eq!(place(&config, None, &environment), "/var/lib/evidenced");
        environment.state_directory = Some("/run/one:/run/two".into());
        assert_eq!(place(&config, None, &environment), "/run/one");
        let configured =
            Config::parse(format!("store.directory = \"/data\"\n{SOURCE}").as_bytes(), None).unwrap();
        assert_eq!(place(&configured, None, &environment), "/data");
        assert_eq!(place(&configured, Some("flag"), &environment), "/here/flag");
    }
}
