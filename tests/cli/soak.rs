//! Twenty collectors, of which three are asked each second, and then nothing to do: what stays of memory, files and work.
//!
//! `SOAK_SECONDS` lets it collect for longer: 24 are as many ticks of each as a day has hours.

use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::{Daemon, wait_for};
use crate::killed::children;
use crate::workplace::Workplace;

fn configuration(schedule: &str) -> String {
    let source = |number| {
        // Some are busy: to be collected takes a machine a second or two.
        let schedule = if number < 3 { schedule } else { "@ad_hoc" };
        format!(
            "[[source]]\nname = \"machine-{number}\"\ntype = \"host\"\n\
             [source.collectors.\"host.baseline\"]\nschedule = \"{schedule}\"\n"
        )
    };
    (0..20).map(source).collect()
}

struct Use {
    /// Megabytes of resident memory.
    resident: u64,
    files: usize,
    /// Hundredths of a second of work.
    work: u64,
}

fn used(child: &Child) -> Use {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap();
    let status = read("status");
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let stat = read("stat");
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let number = |at: usize| fields[at].parse::<u64>().unwrap();
    Use {
        resident: resident.trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024,
        files: std::fs::read_dir(format!("/proc/{}/fd", child.id()))
            .unwrap()
            .count(),
        // utime and stime, behind pid and comm.
        work: number(11) + number(12),
    }
}

#[test]
fn busy_seconds_leave_neither_memory_nor_files_nor_work_behind() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(5, |text| text.parse().unwrap());
    let place = Workplace::new();
    place.write("evidenced.toml", &configuration("* * * * * *"));
    let mut daemon = Daemon::start(&place);
    let sleep = |seconds| std::thread::sleep(Duration::from_secs(seconds));
    sleep(seconds);
    let early = used(&daemon.child);
    place.write("evidenced.toml", &configuration("0 0 1 1 *"));
    daemon.signal(Signal::HUP);
    wait_for("the end of runs under way", || {
        sleep(2);
        children(daemon.child.id()).is_empty() && used(&daemon.child).files <= early.files
    });
    let idle = used(&daemon.child);
    sleep(5);
    let later = used(&daemon.child);
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.child.wait().unwrap().code(), Some(0));
    let (early, idle, work) = (
        (early.resident, early.files),
        (idle.resident, idle.files),
        later.work - idle.work,
    );
    println!("early {early:?}, idle {idle:?}, work {work} in 500");
    assert!(idle.0 < 60, "{} MB are resident", idle.0);
    assert!(
        idle.1 <= early.1,
        "{} files are open, and {} were",
        idle.1,
        early.1
    );
    assert!(
        work <= 10,
        "{work} hundredths of a second of work in five seconds of nothing to do"
    );
    place.run(&["verify"]).ends(0);
}
