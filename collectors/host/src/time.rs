//! Whether the clock is synchronised: the log's own times rest on it.

use chrono::SecondsFormat;
use evidenced_collector_api::{Resource, Run};
use serde_json::Value;

use crate::inspection::Inspection;
use crate::machine::LiveMachine;
use crate::processes::Processes;

/// The kernel's name of the process (at most 15 bytes) and what people call the service.
const SERVICES: &[(&str, &str)] = &[
    ("chronyd", "chrony"),
    ("systemd-timesyn", "systemd-timesyncd"),
    ("ntpd", "ntpd"),
    ("openntpd", "openntpd"),
    ("ptp4l", "ptp4l"),
];

/// What `host.time` always tells.
pub(crate) const ATTRIBUTES: &[&str] = &["synchronised", "offset_ms", "how", "service"];

/// What one source says.
struct Clock {
    synchronised: bool,
    offset_ms: Result<f64, String>,
    how: &'static str,
}

pub(crate) async fn resource(inspection: &mut Inspection<'_>, processes: &Processes) -> Resource {
    let (clock, mut calls) = clock(inspection).await;
    let touched = inspection.modified("/run/systemd/timesync/synchronized");
    let (synchronised, offset, how) = match clock {
        Ok(clock) => (Ok(clock.synchronised), clock.offset_ms, Ok(clock.how)),
        Err(reason) => (Err(reason.clone()), Err(reason.clone()), Err(reason)),
    };
    let mut resource = Resource::new("host.time", "clock", "clock", calls.remove(0))
        .with_result("synchronised", synchronised)
        .with_result("offset_ms", offset.map(Value::from))
        .with_result("how", how)
        .with_result("service", service(processes));
    resource.call.extend(calls);
    resource.call.extend([touched.call, processes.call]);
    // Written by systemd-timesyncd only: with another service its absence says nothing.
    if touched.is_absent() {
        return resource;
    }
    let instant = touched
        .known()
        .map(|instant| instant.to_rfc3339_opts(SecondsFormat::Secs, true));
    resource.with_result("last_synchronised", instant)
}

/// How this machine's clock stands, outside a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct ClockState {
    /// Whether something keeps it right; `None` where that can't be found out.
    pub synchronised: Option<bool>,
    /// By how many milliseconds it is off; `None` where that is not told.
    pub offset_ms: Option<f64>,
    /// How that was found out, or why not.
    pub how: String,
}

/// How the clock of the machine that this process runs on stands, by `chronyc -c tracking` or else `timedatectl show`.
pub async fn clock_state(run: &Run<'_>) -> ClockState {
    match clock(&mut Inspection::begin(&LiveMachine, run)).await.0 {
        Ok(clock) => ClockState {
            synchronised: Some(clock.synchronised),
            offset_ms: clock.offset_ms.ok(),
            how: clock.how.to_owned(),
        },
        Err(reason) => ClockState {
            synchronised: None,
            offset_ms: None,
            how: reason,
        },
    }
}

/// What can be found out, and the calls that asked.
async fn clock(inspection: &mut Inspection<'_>) -> (Result<Clock, String>, Vec<usize>) {
    let chrony = inspection.command("chronyc", &["-c", "tracking"], 10).await;
    let kernel = inspection
        .command(
            "timedatectl",
            &["show", "--property=NTPSynchronized", "--property=NTP"],
            10,
        )
        .await;
    let clock = chrony
        .success()
        .and_then(|text| tracking(&text))
        .or_else(|first| {
            kernel
                .success()
                .and_then(|text| timedatectl(&text))
                .map_err(|second| format!("{first}; {second}"))
        });
    (clock, vec![chrony.call, kernel.call])
}

fn service(processes: &Processes) -> Result<&'static str, String> {
    let running = SERVICES.iter().find(|(name, _)| processes.runs(name));
    match (running, &processes.hidden) {
        (Some((_, service)), _) => Ok(service),
        (None, Some(reason)) => Err(reason.clone()),
        (None, None) => Ok("none"),
    }
}

/// chronyc's comma-separated tracking report: the fifth field is the offset in seconds, the last the leap status.
fn tracking(text: &str) -> Result<Clock, String> {
    let fields: Vec<_> = text.trim().split(',').collect();
    let odd = || "chronyc -c tracking: an answer that is not understood".to_owned();
    let (offset, leap) = match fields[..] {
        [_, _, _, _, offset, _, _, _, _, _, _, _, _, leap] => {
            (offset.parse::<f64>().map_err(|_| odd())?, leap)
        }
        _ => return Err(odd()),
    };
    let synchronised = match leap {
        "Normal" | "Insert second" | "Delete second" => true,
        "Not synchronised" => false,
        _ => return Err(odd()),
    };
    let offset_ms = (offset.abs() * 1_000_000.0).round() / 1000.0;
    Ok(Clock {
        synchronised,
        offset_ms: if synchronised && offset_ms.is_finite() {
            Ok(offset_ms)
        } else {
            Err("chrony has no source to compare with".to_owned())
        },
        how: "chronyc -c tracking",
    })
}

fn timedatectl(text: &str) -> Result<Clock, String> {
    let synchronised = text.lines().find_map(|line| match line.trim() {
        "NTPSynchronized=yes" => Some(true),
        "NTPSynchronized=no" => Some(false),
        _ => None,
    });
    synchronised
        .map(|synchronised| Clock {
            synchronised,
            offset_ms: Err("timedatectl does not tell the offset".to_owned()),
            how: "timedatectl show (the kernel's state)",
        })
        .ok_or_else(|| "timedatectl show: an answer that is not understood".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chrony_tells_whether_and_by_how_much() {
        let line = "A9FEA97B,169.254.169.123,4,1763765000.123456789,-0.000012345,0.000001234,0.000010000,-5.123,0.001,\
                    0.012,0.000300000,0.000200000,16.2,Normal\n";
        let clock = tracking(line).unwrap();
        assert!(clock.synchronised);
        assert!((clock.offset_ms.unwrap() - 0.012).abs() < 1e-9);
        let line = "00000000,,0,0.000000000,0.000000000,0.000000000,0.000000000,0.000,0.000,0.000,1.000000000,\
                    1.000000000,0.0,Not synchronised";
        let clock = tracking(line).unwrap();
        assert!(!clock.synchronised && clock.offset_ms.is_err());
        assert!(tracking("506 Cannot talk to daemon").is_err());
    }

    #[test]
    fn timedatectl_tells_the_kernels_state() {
        assert!(
            timedatectl("NTP=yes\nNTPSynchronized=yes\n")
                .unwrap()
                .synchronised
        );
        assert!(!timedatectl("NTPSynchronized=no\n").unwrap().synchronised);
        assert!(timedatectl("NTP=yes\n").is_err());
    }
}
