//! How large the store is, and how long its disk lasts.

use chrono::{DateTime, TimeDelta, Utc};

use crate::log::leaf::{Body, Heartbeat, format_time};
use crate::log::store::{Filter, Paths, Reader, StoreError};

/// The time over which the rate is told.
const WINDOW: TimeDelta = TimeDelta::days(7);

/// The shortest time from which a rate is told.
const SHORTEST: TimeDelta = TimeDelta::hours(6);

/// Bytes of the database and its write-ahead log, and what is left on their disk.
pub fn sizes(paths: &Paths) -> (u64, Option<u64>) {
    let database = paths.database();
    let size = |path: &std::path::Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let bytes = size(&database) + size(&database.with_extension("db-wal"));
    let disk = rustix::fs::statvfs(paths.directory()).ok();
    (bytes, disk.map(|disk| disk.f_bavail * disk.f_frsize))
}

/// How many days the store's disk lasts, at the rate of the week before `now`; none where that can't be told.
pub fn days_left(reader: &Reader, now: DateTime<Utc>) -> Result<Option<u64>, StoreError> {
    let (_, free) = sizes(reader.paths());
    let beats = heartbeats(reader, now - WINDOW)?;
    Ok(free.and_then(|free| lasts(&beats, free)))
}

fn heartbeats(reader: &Reader, since: DateTime<Utc>) -> Result<Vec<(DateTime<Utc>, Heartbeat)>, StoreError> {
    let filter = Filter {
        from: Some(format_time(since)),
        kinds: vec!["heartbeat".to_owned()],
        ..Filter::default()
    };
    let mut beats = Vec::new();
    for entry in reader.entries(&filter)? {
        if let Some(leaf) = reader.leaf(entry.seq)?
            && let Some(Body::Heartbeat(beat)) = leaf.body
        {
            beats.push((leaf.time, beat));
        }
    }
    Ok(beats)
}

/// How many days `free` bytes last at the rate at which the store grew between these heartbeats.
fn lasts(beats: &[(DateTime<Utc>, Heartbeat)], free: u64) -> Option<u64> {
    let ((from, before), (to, after)) = (beats.first()?, beats.last()?);
    let (time, grown) = (*to - *from, after.store_bytes.saturating_sub(before.store_bytes));
    let seconds = u64::try_from(time.num_seconds())
        .ok()
        .filter(|_| time >= SHORTEST)?;
    let days = u128::from(free) * u128::from(seconds) / u128::from(grown).max(1) / 86_400;
    Some(u64::try_from(days).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::leaf::ClockState;

    fn beat(hour: i64, store_bytes: u64) -> (DateTime<Utc>, Heartbeat) {
        let beat = Heartbeat {
            version: "1".to_owned(),
            uptime_s: 0,
            clock: ClockState {
                synchronised: None,
                offset_ms: None,
                how: String::new(),
            },
            stepped_ms: None,
            leaves: 0,
            store_bytes,
            free_bytes: None,
        };
        (DateTime::UNIX_EPOCH + TimeDelta::hours(hour), beat)
    }

    #[test]
    fn a_disk_lasts_as_long_as_the_last_week_says() {
        let day = [beat(0, 1_000), beat(12, 1_500), beat(24, 2_000)];
        assert_eq!(lasts(&day, 100_000), Some(100));
        assert_eq!(lasts(&day, 999), Some(0));
        // Too short to tell, and not growing at all.
        assert_eq!(lasts(&day[..1], 100_000), None);
        assert_eq!(lasts(&[beat(0, 1), beat(5, 9)], 100_000), None);
        assert_eq!(lasts(&[beat(0, 9), beat(24, 9)], 100_000), Some(100_000));
    }
}
