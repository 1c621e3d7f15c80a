//! What a benchmark prints: our figure, what it is measured against in the same run, and what is required.

use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

/// The figures of one benchmark.
#[derive(Default)]
pub(crate) struct Figures {
    missed: bool,
}

impl Figures {
    /// Prints a ratio that must be at least `required`, where something is.
    pub(crate) fn ratio(
        &mut self,
        what: &str,
        ours: &str,
        baseline: &str,
        ratio: f64,
        required: Option<f64>,
    ) {
        let required = required.map_or_else(String::new, |required| {
            format!("at least {required:.1}: {}", self.verdict(ratio >= required))
        });
        self.line(what, ours, baseline, &format!("{ratio:.2}"), &required);
    }

    /// Prints a figure that must stay below a limit.
    pub(crate) fn below(&mut self, what: &str, ours: f64, limit: f64, unit: &str) {
        let verdict = self.verdict(ours < limit);
        let ours = format!("{ours:.1} {unit}");
        self.line(
            what,
            &ours,
            "",
            "",
            &format!("below {limit:.0} {unit}: {verdict}"),
        );
    }

    /// Prints a figure for comparison.
    pub(crate) fn note(&mut self, what: &str, ours: &str) {
        self.line(what, ours, "", "", "");
    }

    /// Fails if anything required was missed.
    pub(crate) fn exit(&self) -> ExitCode {
        ExitCode::from(u8::from(self.missed))
    }

    fn verdict(&mut self, met: bool) -> &'static str {
        self.missed |= !met;
        if met { "PASS" } else { "FAIL" }
    }

    #[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
    #[expect(clippy::unused_self, reason = "figures are printed through their list only")]
    fn line(&self, what: &str, ours: &str, baseline: &str, ratio: &str, required: &str) {
        println!("{what:44} {ours:>20} {baseline:>26} {ratio:>6}  {required}");
    }
}

/// How long something takes.
pub(crate) fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let clock = evidenced::clock::system();
    let result = work();
    (clock.monotonic(), result)
}

/// What a program took.
pub(crate) struct Watched {
    pub(crate) status: ExitStatus,
    pub(crate) time: Duration,
    /// The high-water mark of resident memory, read until the process ends.
    pub(crate) megabytes: f64,
}

/// Runs a program to its end.
pub(crate) fn watch(command: &mut Command) -> Watched {
    let clock = evidenced::clock::system();
    let mut child = command.spawn().unwrap();
    let (file, mut megabytes) = (format!("/proc/{}/status", child.id()), 0.0_f64);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            let time = clock.monotonic();
            return Watched {
                status,
                time,
                megabytes,
            };
        }
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        megabytes = megabytes.max(kilobytes.unwrap_or_default() * 1.024e-3);
        std::thread::sleep(Duration::from_millis(2));
    }
}
